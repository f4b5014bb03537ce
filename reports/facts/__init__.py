"""What a report says of a run, as data: computed once, rendered as HTML and as Markdown alike."""
