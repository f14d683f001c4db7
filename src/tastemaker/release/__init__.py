"""What a release directory holds, and how it is read: shared by training, which writes it, and serving."""
