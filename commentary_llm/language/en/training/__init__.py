"""What models are trained and calibrated on in English: a grammar of true lines, and lines that voices speak.

Nothing of it is read while a match is told.
"""
