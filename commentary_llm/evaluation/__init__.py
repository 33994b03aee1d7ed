"""How good a match's commentary was, in figures: who spoke, how true, how varied, how soon."""
