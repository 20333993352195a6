"""Files and folders on a machine with other users: who can change them, and how they are opened and written."""
