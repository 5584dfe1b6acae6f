"""Files of JSON lines as a fourth system: `DIRECTORY/NAME/YYYY-MM-DD.jsonl`."""
