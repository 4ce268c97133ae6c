"""What a test file says, language by language, so that one guard can compare what it said before with what it says now."""
