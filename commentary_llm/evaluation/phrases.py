"""Phrases by which a line claims that something happened, as patterns over annotated text (see `reading`)."""

from __future__ import annotations

import re

# Not said to be so: wished, tried, feared, long past.
UNREAL = re.compile(
    r"\b(?:could|would|might|should|may|chance|hop(?:e|es|ing)|look(?:s|ing)? (?:to|for)|search\w*|"
    r"chas\w+|needs?|wants?|"
    r"if|almost|nearly|inches|close to|looked|thought|try|tries|trying|pushing for|hunt\w*|can (?:they|he)|will|must|"
    r"had been|used to|no longer|not|never|nobody|n't|don't|doesn't|didn't|isn't|aren't|to go)\b|\?"
)

_HOME_VERBS = (
    "fires?|heads?|nods?|volleys?|slams?|smash(?:es)?|drills?|rolls?|taps?|pokes?|strokes?|sweeps?|"
    "bundles?|curls?|turns?|"
    "lash(?:es)?|slots?|tucks?|hammers?|powers?|steers?|slides?|bends?|whips?|sidefoots?|dinks?|chips?|blasts?"
)
GOAL_WORDS = re.compile(
    r"\bscores?\b(?! (?:is|stays|remains|line|at|now))|\bscored\b|\bscoring\b|\bnets\b|\bin the net\b|"
    r"\bback of the net\b|"
    r"\bfinds? the (?:net|(?:top|bottom) corner)\b|\b(?:buries|buried)\b|\bmakes? no mistake\b|\bno mistake from\b|"
    rf"\b(?!turns? (?:\S+ ){{0,3}}?away\b)(?:{_HOME_VERBS}) (?:\S+ ){{0,3}}?(?:home|away|in)\b"
    r"(?! (?:the|from|by|a)\b| P\d)|"
    rf"\bit 's in\b(?! (?:the|a|for))|"
    r"\bconverts?\b|\bputs? (?:it|the (?:ball|kick|penalty|spot-?\s?kick)|his \w+) away\b|"
    r"(?:^|[.!?] )(?:it 's (?:a )?|what a |a )?goal\b(?= [!.,:]|$| for T| from P| by P)|\bgrabs? (?:a|"
    r"the|his) (?:goal|winner|equali[sz]er)\b|"
    r"\bwins? (?:it|the (?:world cup|match|game|final|cup)) for\b|\bwhat a (?:goal|finish)\b|\b(?:has|have) won it\b|"
    r"\bsends? \S+ the wrong way\b|\b(?:can't|cannot|couldn't) keep (?:it|\S+ \S+) out\b|"
    r"\bequali[sz]es\b|\bbeats (?:P\d+|the keeper)\b|"
    r"\bhit(?:s)? the (?:net|target and)\b"
)
SAVE = re.compile(
    r"\bsaves?\b|\bsaved\b|\bden(?:y|ies|ied)\b|\bkeeps? (?:\S+ ){0,3}?out\b|\bkept out\b|"
    r"\bstops? (?:it|from|by|that|him)\b|"
    r"\bwhat a stop\b|\b(?:fine|great|good|super|brilliant|big|smart|sharp|superb) stop\b|\bparr(?:y|"
    r"ies|ied)\b|\btips? (?:\S+ ){1,5}?(?:over|round|around|wide|away|onto|past|behind)\b|"
    r"\btipped\b|\bpalms?\b|\bpushed? (?:it )?away\b|\bpushes\b|\bequal to\b|\bclaw\w*\b|\bcomfortable for\b|"
    r"\bturns? (?:it|(?:the|his) \w+) away\b|"
    r"\b(?:holds|stands) firm\b|\bguess\w* (?:right|correctly)\b|\bto the rescue\b|\bsmother\w*|"
    r"\bsays no\b|\bbeaten away\b|"
    r"\bstraight at (?:the keeper|the goalkeeper|P)|\bforces? \S+ into\b"
)
BLOCK = re.compile(r"\bblock\w*|\bcharged down\b|\bbod(?:y|ies) (?:in|on) the (?:way|line)\b|\bget(?:s)? in the way\b")
WOOD = re.compile(
    r"\bwoodwork\b|\bupright\b|\bframe of the goal\b|\b(?:off|hits|hit|against|rattles|rattled|"
    r"strikes|onto|cannons \w+|clips|back off) the (?:\w+ )?(?:post|bar|crossbar)\b"
)
OFF = re.compile(
    r"\bwide\b(?! (?:area|open|position|player|on the|left|right))|\boff[- ]target\b|"
    r"\bmisses\b(?! out)|\bmissed\b|\bblazes?\b|\bskie[sd]\b|"
    r"\b(?:past|wide of|over) the (?:\w+ )?(?:post|bar|crossbar)\b|\b(?:can't|cannot|couldn't|"
    r"fails to) (?:find|hit) the target\b|\bmiss(?:es)? the target\b|"
    r"\bcan't keep \S+ (?:\w+ )?on target\b|\bover the top\b|, and it 's over\b|\bfires over\b|\bheads over\b"
)
LEGEND = {"goal": GOAL_WORDS, "save": SAVE, "block": BLOCK, "woodwork": WOOD, "miss": OFF}
YELLOW = re.compile(
    r"\byellow\b|\bbook(?:ed|ing|ings)\b|\b(?:in|into|in to) the (?:note)?book\b|\bnotebook\b|"
    r"\bcaution\w*\b|\bname (?:is )?taken\b"
)
RED = re.compile(
    r"\bred card\b|\bstraight red\b|\bsees red\b|\bsent off\b|\bsending[- ]off\b|\bdismiss\w*|"
    r"\bmarching orders\b|\bearly bath\b|"
    r"\ba red\b|\bgets red\b|\boff he goes\b|\bdown to (?:10|9|8|7)\b"
)
SECOND = re.compile(
    r"\b2nd (?:yellow|booking|caution|bookable)\b|\balready (?:been )?(?:booked|on a (?:yellow|"
    r"booking))|\b(?:2|two) yellows\b"
)
MEN = re.compile(r"\bdown to (\d+)\b|\b(\d+)[- ]m[ae]n\b|\bwith (\d+)(?: men)?$|\b(\d+) against (\d+)\b")
PENALTY = re.compile(
    r"\bpenalt(?:y|ies)\b(?! (?:area|box|spot kick))|\bspot[- ]kick\b|\bfrom the (?:penalty )?spot\b|"
    r"\bto the spot\b|\b12 yards\b"
)
STANDS = re.compile(
    r"\bstands\b(?! (?:over|firm|up|in))|\bcounts\b|\bit 's given\b|\bgoal (?:is )?(?:given|"
    r"confirmed)\b|\bconfirm(?:s|ed)\b|\bgoal stays\b"
)
RULED_OUT = re.compile(
    r"\bruled (?:it )?out\b|\bdisallow\w*|\bchalked off\b|\bno goal\b|\bdoesn't count\b|\boverturn\w*|"
    r"\bcancel\w*|\bscrubbed\b|"
    r"\bno penalty\b|\btake[sn]? (?:it|the penalty|the goal)? ?away\b|\brescind\w*|\bwaves? away\b"
)
NOT_SO = re.compile(
    r"\b(?:no|not|never|n't|without|nearly|almost|could|would|might|so close to|inches|denied|before)\b|n't\b"
)
HEAD = re.compile(
    r"\bhead(?:s|ed|er|ers)\b(?! (?:of|to|for|up|down|into|off))|\bnod(?:s|ded)?\b|\bwith (?:his|"
    r"the) head\b|\bhis head to\b"
)
LEFT = re.compile(r"\bleft[- ](?:foot\w*|peg|boot)\b")
RIGHT = re.compile(r"\bright[- ](?:foot\w*|peg|boot)\b")
FOOT = re.compile(r"\bvolley\w*|\b(?:right|left)[- ]foot")
FAR = re.compile(
    r"\b(?:from|at) (?:long )?(?:distance|range)\b|\bfrom outside (?:the|of)\b|\blong[- ]range\b|\bfrom (\d\d) yards\b"
)
NEAR = re.compile(r"\btap-?\s?in\b|\bfrom close range\b|\bfrom (?:1|2|3|4|5|6|a few|a couple of) yards\b")
COUNTER = re.compile(r"\bcounter\w*|\bon the break\b|\bbreakaway\b")
HISTORY = re.compile(
    r"\bseason\b|\bcareer\b|\brecord\b|\bhistory\b|\bin years\b|\byears?\b|\bsince\b|\bclub\b|"
    r"\bsummer\b|\btransfer\b|\bdebut\b|\bcaptain\b|"
    r"\bfastest\b|\byoungest\b|\boldest\b|\bin a row\b|\blast (?:season|year|week|month|time|"
    r"summer)\b|\bhas (?:never|now scored|always)\b|"
    r"\bhave (?:never|always)\b|\breturn(?:s|ing)? from\b|\bback from (?:a|an|injury|suspension)\b|"
    r"\bformer\b|\bex-|\bweather\b|\brain\w*\b|\bin every\b|\bof the (?:tournament|campaign)\b|\bchampions .*again\b|"
    r"\bcrowd\b|\bfans\b|\bsupporters\b|\bterraces\b|\binjured\b|\bhurt\b|\blimp\w*|\b(?:bad|wrong|"
    r"right|poor) (?:call|decision)\b|"
    r"\bharsh\b|\blucky\b|\bfortunate\b|\bdeserve\w*|\bshould have\b"
)
INVENTED = re.compile(
    r"\boverhead\b|\bbicycle\b|\bback-?heel\w*|\brebound\b|\bdeflect\w*|\bchip(?:s|ped)?\b|"
    r"\bvolley\w*|\bfirst[- ]time\b|\b1st[- ]time\b|"
    r"\bcynical\b|\breckless\b|\bviolent\b|\bclumsy\b|\bneedless\b|\bdiv(?:e|ing|ed)\b(?<! save)|"
    r"\bnutmeg\w*|\bscrew\w*|\bpanenka\b"
)
