"""The tools of whoever plans and delegates, what they know of a run, and who looks over their shoulder.

Discipline is code here: nothing in this room writes into a tree, nothing is believed but the judge, and `exit` is a verdict, not a word.
"""
