"""What `oldphoto bench` measures: each row in a process of its own, so that memory and warmth are its own."""
