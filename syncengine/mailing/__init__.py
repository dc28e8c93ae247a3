"""Mail from the command line: one message, a template for many contacts, and what became of both."""
