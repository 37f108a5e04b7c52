"""What was found: records, studies on a database, fronts, reports. No torch."""
