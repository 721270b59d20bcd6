"""The release gate: `make verify-full` runs every stage, and writes a report to be kept."""
