"""Webhooks: who is told, what is owed to whom, and the sending of it (Standard Webhooks 1.0)."""
