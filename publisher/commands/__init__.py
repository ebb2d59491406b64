"""The commands, a module each; they translate, and decide nothing."""
