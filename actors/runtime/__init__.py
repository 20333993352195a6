"""The runtime of actors, built on pykka: cells, mailboxes, hosts and addresses."""
