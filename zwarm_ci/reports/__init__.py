"""Reports: each a pure function of an Outcome. outcome.json is the record; the others can be made from it again."""
