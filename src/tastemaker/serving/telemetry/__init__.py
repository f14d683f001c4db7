"""What requests leave behind beside metrics and served lists: lines in the log, and traces."""
