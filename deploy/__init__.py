"""From a clone to a stack in the cloud: packaging, and what proves that a package is one."""
