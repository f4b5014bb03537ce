"""What a comparison looks like: in the terminal, as JSON, Markdown and HTML."""
