"""What actors run on: cells, mailboxes, hosts and addresses, over pykka."""
