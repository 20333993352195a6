"""The download of an exchange's past bars: page by page, each checked, each piece kept on the disk at once."""
