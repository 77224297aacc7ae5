"""Labels: brought in from people's tools, looked at, counted; and which photos to label next."""
