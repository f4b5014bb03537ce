"""The tests of what was found: records, the command line, explanations, replays and pages."""
