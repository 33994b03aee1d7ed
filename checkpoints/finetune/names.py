"""Made-up people, clubs and places in the manner of many languages, in two disjoint sets: for training and held out.

Lists of common given names and of syllables; a family name is put together from syllables or taken from a list of
ordinary ones. No list of a real squad is used. A name belongs to the held-out set by its checksum alone, so a set
never depends on seeds.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_TRIPLE = re.compile(r"(.)\1\1|[aeiou]{4}|[^aeiouyáéíóúãõâêôüöäåøæıě'-]{5}")
_HELD_OUT_SHARE = 7  # one name in seven is kept for evaluation


def is_held_out(name: str) -> bool:
    """Whether `name`, a family name, mononym, given name or place, is of the held-out set."""
    return zlib.crc32(name.encode("utf-8")) % _HELD_OUT_SHARE == 0


def _split(line: str) -> tuple[str, ...]:
    return tuple(line.split())


def _parts(line: str) -> tuple[str, ...]:
    return tuple(line.split(";"))


@dataclass(frozen=True)
class Culture:
    """How people of one language are called. `starts` + `middles`? + `ends` make family names of its sound."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    middles: tuple[str, ...] = ()
    particles: tuple[str, ...] = ()
    mononym_share: float = 0.0
    hyphen_share: float = 0.0
    two_family_share: float = 0.0
    place_ends: tuple[str, ...] = ()


CULTURES: dict[str, Culture] = {
    "spanish": Culture(
        _split(
            "Álvaro Marcos Iker Rubén Joaquín Hugo Sergio Adrián Mateo Nicolás Tomás Emiliano Julián Facundo "
            "Lautaro Gonzalo Agustín Ramiro Esteban Matías Íñigo Unai Lucía Carmen Irene Nerea Paula Alba"
        ),
        _split(
            "Ibáñez Carmona Peña Quiroga Salcedo Villalba Ordóñez Barrios Escudero Montero Aguirre Zabala "
            "Luján Cárdenas Rivas Bustos Núñez Muñoz Galíndez Cañizares Moya Solís Gallardo Herrera Paredes "
            "Roldán"
        ),
        _split("Al Bar Cas Des Es Gar Her Lar Mon Or Pal Qui Ro Sal Tor Ur Val Vi Za Mar Ce Du"),
        _split("aldo ando arra ano edo ena eras ero ija illo inar ita oa ona oza uero ués ales anzo ondo"),
        particles=("de la", "del", "de", "De", "Di"),
        mononym_share=0.06,
        two_family_share=0.1,
        place_ends=_split("alba eda ellín ona uela íz ares osa ante era"),
    ),
    "portuguese": Culture(
        _split(
            "Thiago Rafael Caio Murilo Vitor Renan Otávio Danilo Wesley Everton Luan Bruno Fábio Gonçalo Nuno "
            "Diogo Rúben João Tiago Inês Beatriz Letícia Camila Débora Ary Jefferson"
        ),
        _split(
            "Tavares Moreira Antunes Bragança Queiroz Leão Cordeiro Pacheco Fontoura Lacerda Sampaio Araújo "
            "Guimarães Vasconcelos Nogueira Peixoto Salgueiro Simões Falcão Brandão Macedo Teles Arruda"
        ),
        _split("Al Bar Cal Fer Gui Lan Mar Mo Nei Pa Quei Ra Sa Ta Ve Vi Zei Cor Bra Li"),
        _split("ça inho ão eira eiro ares edo ense inha ota osa uza anda ito eco ardes ema ilva"),
        particles=("da", "dos", "de"),
        mononym_share=0.3,
        place_ends=_split("aré uba enha aquara ópolis anga ema imbra"),
    ),
    "french": Culture(
        _split(
            "Mathis Théo Florian Jérémy Loïc Yohan Rémy Bastien Aurélien Maxence Gaëtan Clément Corentin Léo "
            "Élodie Manon Camille Amandine Thibaud Enzo Hugo Axel"
        ),
        _split(
            "Lacombe Garnier Perrin Chevallier Fabre Rousselet Maurin Delcourt Vasseur Béranger Tessier "
            "Pichon Duhamel Lemaître Cordier Bouvier Gaillard Noël Sauvage Thévenet Grandjean Marchand"
        ),
        _split("Ba Ber Bou Cha Cor Del Du Fau Gau La Le Mar Mon Per Ro Sau Tho Vi Val Bri"),
        _split("bert camp chon court dier fort gnac lard lin met nard neau quet rand rieux sier ville vin teau let"),
        particles=("de", "Le", "Du", "de La"),
        hyphen_share=0.06,
        place_ends=_split("ville court gnac mont bourg eaux ières"),
    ),
    "dutch": Culture(
        _split(
            "Sander Jeroen Bram Thijs Ruben Joost Daan Sven Luuk Teun Koen Jasper Niels Wout Femke Sanne "
            "Lieke Merel Maarten Joris Stijn Pim"
        ),
        _split(
            "Kuiper Hoekstra Bosman Vermeer Dijkman Postma Schouten Veenstra Terpstra Kramer Hendriks "
            "Wagenaar Mulder Brouwer Timmerman Claes Peeters Goossens Lambrecht Wouters"
        ),
        _split("Bak Bos Dijk Gro Haan Hoek Kam Kuy Lo Mee Nij Oos Rij Schip Stee Veld Wes Zand Ver Brink"),
        _split("man stra huis veld mans laar ink ers inga ema beek horst kamp hof dijk"),
        particles=("van", "van de", "van der", "van den", "de", "ter", "ten"),
        place_ends=_split("dam burg hoven drecht horst wijk"),
    ),
    "german": Culture(
        _split(
            "Jonas Niklas Florian Timo Lukas Moritz Felix Kai Sebastian Matthias Jannik Leon Stefan Uwe Jörg "
            "Anja Lena Svenja Alexandra Dominik Robin Tobias"
        ),
        _split(
            "Brandt Köhler Schäfer Lindner Voss Krämer Hofmann Bergmann Ziegler Reuter Böhm Steinbach Kuhn "
            "Wolff Ritter Vogt Schuster Grünwald Lorenz Kessler Thiele Dreyer"
        ),
        _split("Alt Ber Bran Eich Feld Grün Hart Holz Kal Klein Lind Neu Ober Rei Schön Stein Thal Wald Wes Zim"),
        _split("mann berg bach ner hauser meier feld stein ke rich müller hofer ecker ing lein wald"),
        particles=("von",),
        hyphen_share=0.02,
        place_ends=_split("burg heim stadt feld hausen berg"),
    ),
    "balkan": Culture(
        _split(
            "Marko Nemanja Ivan Luka Dejan Zoran Goran Ante Josip Stefan Miloš Darko Vedran Mario Dino Filip "
            "Aleksandar Jelena Ivana Petar Edin Amar"
        ),
        _split(
            "Kovač Babić Perišin Lončar Vuković Radman Tadić Šimić Grgić Brkić Zorić Marić Jurić Ćosić Đukić "
            "Topalović Hadžić Bešić Pavlov Dragić"
        ),
        _split("Bog Dra Gor Jan Kov Lju Mil Nik Ob Pav Rad Stan Tom Vu Zor Šar Ćur Živ Maj Bla"),
        _split("anović ić ović ević enić čić adić ković inac šić ulj aš ek ajić"),
        place_ends=_split("ovac grad ica ina jevo nik"),
    ),
    "nordic": Culture(
        _split(
            "Erik Sondre Magnus Mads Kasper Jonas Viktor Oskar Emil Rasmus Anders Henrik Lars Joakim Birkir "
            "Ari Mikael Signe Freja Ingrid Astrid Aron"
        ),
        _split(
            "Lindqvist Nyberg Dahl Solheim Bakke Haugen Lund Strand Holm Wiklund Ekdal Sørensen Møller Kjær "
            "Østergaard Ödman Åberg Nordli Björnsson Sigurdsson Virtanen Laine"
        ),
        _split("Berg Eng Fors Gran Hag Hel Lind Lund Nor Ny Ost Sand Ström Sund Søn Vik Ås Ø Hed Rør"),
        _split("gren ström berg dahl sen vik gaard quist mark man rud by lund nes strand sson"),
        place_ends=_split("vik by borg stad havn sund"),
    ),
    "slavic": Culture(
        _split(
            "Tomáš Jakub Piotr Wojciech Kamil Łukasz Mateusz Ondřej Vladimír Marek Peter Oleksandr Andriy "
            "Serhiy Yevhen Roman Igor Maksim Denys Kateryna Zuzana Patrik"
        ),
        _split(
            "Novotný Kowal Wrona Zieliński Jankowski Horák Kučera Beneš Mazur Sobol Kravets Bondar Shevchuk "
            "Melnyk Dvorsky Pospíšil Krejčí Gajdoš Lisowski Wójcik Tymko"
        ),
        _split("Bar Bor Cher Dom Gol Gra Hav Jab Kol Kra Lev Mal Nov Pet Rud Sok Str Tka Vor Zab"),
        _split("enko owski ák ík ov yuk ský ecki chuk lík ová in czyk nik an iński"),
        place_ends=_split("owice ov grad sk nice ava"),
    ),
    "turkish": Culture(
        _split("Emre Hakan Burak Cengiz Yusuf Kerem Ozan Mert Orkun Ferdi Kaan Uğur Çağlar Barış Zeki Salih Ebru Ece"),
        _split(
            "Yıldırım Demirel Koçak Şahin Aydın Kaplan Özkan Erdem Çelik Aksoy Tekin Bulut Güneş Karaca Doğan Soyuer"
        ),
        _split("Ak Al Bay Bul Çal De Er Gök Gün Kar Koç Öz Sar Tan Tek Yal Yıl Şen Ay Tur"),
        _split("maz can türk oğlu han demir soy kan lı türkmen gül men baş dağ ateş"),
        place_ends=_split("şehir hisar pınar köy kale"),
    ),
    "arabic": Culture(
        _split(
            "Youssef Hakim Sofiane Riyad Amine Karim Walid Omar Tarek Hamza Bilal Nabil Ismail Anas Zakaria "
            "Mehdi Salem Fahad Saleh Khalid Abdullah Mostafa"
        ),
        _split(
            "Belkacem Haddad Mansouri Benyahia Cherif Bensalem Rahmani Amrani Zaki Fathi Kamara Bouzid "
            "Slimani Taleb Hadji Aziz Lahlou Nasri Ghanem Sabri"
        ),
        _split("Bel Ben Bou Che Dja Fa Gha Ha Ka La Mah Me Na Ra Sa Ta You Za Kha Am"),
        _split("aoui bani dani ek fi hmi idi ima kri lali mani nouni raoui ssi toumi zouk hani bari"),
        particles=("El", "Al", "Ben", "Abu"),
        hyphen_share=0.0,
        place_ends=_split("ira oun ran dah sira"),
    ),
    "west_african": Culture(
        _split(
            "Kwame Kofi Sadio Ismaïla Moussa Cheikh Ousmane Emmanuel Samuel Victor Chidi Ahmed Wilfried Serge "
            "Yaya Alassane Boubacar Habib Aïssata Asisat Thomas Mohammed"
        ),
        _split(
            "Diatta Ndong Ouattara Konaté Sarr Touré Asante Mensah Boateng Okoye Adeyemi Eze Balogun Kamara "
            "Traoré Cissé Sylla Appiah Owusu Onuoha Nwosu Diouf"
        ),
        _split("Ade Aku Ba Bo Cha Di Fo Ka Ko Ma Mba N'D Na Ndi Nke Obi Oko Osa Se Ya"),
        _split("bayo bi dou gne ko la ma mbé ndo ngu oma ra sah té tola wale yemi koro mbo"),
        hyphen_share=0.04,
        mononym_share=0.05,
        place_ends=_split("asi ou ako oro andja"),
    ),
    "japanese": Culture(
        _split(
            "Haruto Ren Yuto Daichi Kaoru Ritsu Takumi Shoya Wataru Hiroki Kento Ayase Junya Keito Aoba Yui Mina Saki"
        ),
        _split(
            "Morita Hasegawa Okada Nishimura Fujii Sakamoto Ueno Kimura Hoshino Arai Yoshioka Tanabe Shibata "
            "Kojima Murata Endou Iwase Matsuda"
        ),
        _split("A Aki Fuji Hara Hashi Ino Iwa Kawa Kita Ko Matsu Mori Naka Nishi Oku Saka Shima Taka Yama Yoshi"),
        _split("da gawa guchi ki moto mura no saki shima ta to ya zawa ne be hara"),
        place_ends=_split("yama saki machi hama oka"),
    ),
    "korean": Culture(
        _split("Min-jae Seung-ho Ji-hoon Woo-young Hyun-soo Jae-sung In-beom Gue-sung Tae-hwan Sang-min Jin-su So-yun"),
        _split("Kwon Bae Noh Yoo Hwang Seo Moon Oh Ahn Ryu Shin Jang Hong Cho Baek Kim Lee Park"),
        _split("Kw Ch H J S Y B P R M D G"),
        _split("ang eon ong un oon im ok eung il"),
        place_ends=_split("ju san cheon won gu"),
    ),
    "british": Culture(
        _split(
            "Harry Jack Callum Declan Rhys Ewan Finlay Connor Aaron Ben Kieran Liam Owen Jude Marcus Kyle "
            "Scott Millie Lauren Beth Ella Ryan"
        ),
        _split(
            "Ashworth Hartley McAllister O'Rourke Gallagher Pritchard Llewellyn Fraser McLeod Barlow "
            "Whitfield Doyle Kavanagh Thornton Bowen Maguire Henshaw Radcliffe Duffy Sinclair Kerrigan Prosser"
        ),
        _split("Ash Bar Brad Col Cran Dun El Ferr Gar Hal Har Ken Lang Mar Nor Pem Rad Stan Thorn Whit"),
        _split("bury by combe den field ford ham ley low man more ridge son stone ton well wick worth"),
        _split(""),
        particles=("Mc", "O'"),
        hyphen_share=0.06,
        place_ends=_split("ham ton bury ford mouth port wick chester"),
    ),
    "italian": Culture(
        _split(
            "Lorenzo Matteo Davide Alessio Gianluca Riccardo Nicolò Sandro Federico Andrea Giacomo Simone "
            "Sara Elena Valentina Manuel"
        ),
        _split(
            "Bellini Ferraro Colombo Rinaldi Moretti Caruso Fontana Gatti Longo Martelli Pagani Serra Tonelli "
            "Vitale Zanetta Bianco"
        ),
        _split("Al Ba Bar Ca Cor Do Fa Fer Ga Lo Man Mon Pa Ra Ros Sa Tor Va Vi Zan"),
        _split("ccio dini ello etti gni ini lli nardi nese otti relli sato tini vani zzi zola"),
        particles=("De", "Di", "Della", "Lo"),
        place_ends=_split("enza ano ona ella aro"),
    ),
    "greek": Culture(
        _split("Giorgos Kostas Dimitris Vangelis Anastasios Petros Stavros Nikos Thanos Christos Panos Manolis"),
        _split("Pavlidis Manolas Kourtis Stavrou Economou Galanis Vlachos Fountas Makris Rota"),
        _split("Dim Gal Kar Kou Lam Mav Nik Pap Sta Tso Vas Zag"),
        _split("akis opoulos idis as iadis ellis elis ontis"),
        place_ends=_split("issa onia opoli ados"),
    ),
}

# name, nicknames
COUNTRIES: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (name, tuple(nicknames))
    for name, *nicknames in (
        country.split(":")
        for country in _parts(
            "Argentina:the Albiceleste;Brazil:the Seleção;France:Les Bleus;Spain:La Roja;Germany;"
            "England:the Three Lions;Portugal;Netherlands:Oranje;Belgium:the Red Devils;Croatia;"
            "Italy:the Azzurri;Uruguay:La Celeste;Denmark;Sweden;Norway;Finland;Iceland;Poland;Czech Republic;"
            "Slovakia;Slovenia;Serbia;Bosnia and Herzegovina;Montenegro;Albania;Greece;Turkey;Ukraine;Romania;"
            "Bulgaria;Hungary;Austria;Switzerland;Scotland;Wales;Northern Ireland;Republic of Ireland;"
            "Morocco:the Atlas Lions;Algeria;Tunisia;Egypt:the Pharaohs;Senegal:the Lions of Teranga;"
            "Ghana:the Black Stars;Nigeria:the Super Eagles;Ivory Coast:the Elephants;"
            "Cameroon:the Indomitable Lions;Mali;Burkina Faso;Cape Verde;South Africa:Bafana Bafana;Zambia;"
            "DR Congo;Angola;Japan;South Korea;Australia:the Socceroos;Iran;Iraq;Saudi Arabia;Qatar;"
            "United States;Canada;Mexico:El Tri;Costa Rica;Panama;Honduras;Jamaica;Colombia;Ecuador;Peru;"
            "Chile;Paraguay;Bolivia;Venezuela;New Zealand;Georgia;Armenia;Kosovo;North Macedonia;Israel;Jordan"
        )
    )
)

_CLUB_FORMS: dict[str, tuple[str, ...]] = {
    "spanish": ("{c}", "Real {c}", "Deportivo {c}", "Atlético {c}", "{c} CF", "Racing {c}", "Sporting {c}", "UD {c}"),
    "portuguese": ("{c}", "Sporting {c}", "{c} FC", "Vitória {c}", "Atlético {c}", "União {c}"),
    "french": ("{c}", "Olympique {c}", "Stade {c}", "AS {c}", "Racing {c}", "RC {c}"),
    "dutch": ("{c}", "FC {c}", "Sparta {c}", "{c} SC", "Sportclub {c}"),
    "german": ("{c}", "SV {c}", "Eintracht {c}", "Union {c}", "VfB {c}", "Fortuna {c}", "TSG {c}"),
    "british": ("{c}", "{c} United", "{c} City", "{c} Town", "{c} Rovers", "{c} Albion", "{c} FC", "{c} Athletic"),
    "italian": ("{c}", "AC {c}", "{c} Calcio", "Virtus {c}", "Sporting {c}"),
    "slavic": ("{c}", "Dynamo {c}", "Slavia {c}", "Lokomotiv {c}", "Sparta {c}"),
    "balkan": ("{c}", "Partizan {c}", "Dinamo {c}", "FK {c}"),
}
_COLOURS = _split("Reds Blues Whites Greens Blacks Yellows Oranges Violets")
_BEASTS = _split("Lions Eagles Wolves Foxes Bulls Falcons Tigers Rams Hornets Stags Owls Dragons Sharks Magpies Cranes")
_COMPETITIONS = _parts(
    "Coastal Cup;Northern League;Crown Cup;Meridian Trophy;Premier Division;First Division;National Cup;"
    "Nations Trophy;Continental Cup;Super League;Lakes Cup;Federation Shield;Challenge Cup;League Cup;"
    "Confederation Cup;Harbour Shield"
)
_STAGES = _parts(
    "final;semi-final;quarter-final;round of 16;group stage;matchday 1;matchday 7;matchday 19;matchday 34;"
    "second leg;third round;play-off"
)
_VENUES = ("{c} Park", "{c} Arena", "Estadio {c}", "Stade {c}", "{c} Road", "{c} Stadium", "The {c} Ground")


@dataclass(frozen=True)
class ClubName:
    name: str
    short_name: str | None
    nicknames: tuple[str, ...]


class NameMaker:
    """Draws names of one set. `held_out` names and training names never meet, part by part."""

    def __init__(self, rng: random.Random, held_out: bool = False) -> None:
        self._rng = rng
        self._held_out = held_out

    def culture(self) -> str:
        return self._rng.choice(sorted(CULTURES))

    def _pick(self, words: Sequence[str]) -> str:
        ours = [word for word in words if is_held_out(word) == self._held_out]
        return self._rng.choice(ours or [self._invented(words)])

    def _invented(self, words: Sequence[str]) -> str:
        """A variant of one of `words` that belongs to this set: for lists too short to have any of it."""
        for _ in range(200):
            word = self._rng.choice(words) + self._rng.choice(_split("a o e i an el in us"))
            if is_held_out(word) == self._held_out:
                return word
        raise AssertionError("no word of this set among 200 variants")

    def given(self, culture: str) -> str:
        """A given name; these are shared by both sets, as they are by people."""
        return self._rng.choice(CULTURES[culture].given)

    def family(self, culture: str) -> str:
        """One family name without particle."""
        kind, rng = CULTURES[culture], self._rng
        if rng.random() < 0.35:
            return self._pick(kind.family)
        while True:
            name = rng.choice(kind.starts) + rng.choice(kind.ends)
            if is_held_out(name) == self._held_out and 3 <= len(name) <= 13 and not _TRIPLE.search(name.lower()):
                return name

    def person(self, culture: str) -> str:
        """What a commentator calls him or her: "Bram van der Kamp", "Caio", "Seung-ho Baek"."""
        kind, rng = CULTURES[culture], self._rng
        if rng.random() < kind.mononym_share:
            return self._pick(kind.given) if rng.random() < 0.5 else self.family(culture)
        family = self.family(culture)
        if rng.random() < kind.hyphen_share:
            family = f"{family}-{self.family(culture)}"
        elif rng.random() < kind.two_family_share:
            family = f"{family} {self.family(culture)}"
        elif kind.particles and rng.random() < 0.2:
            particle = rng.choice(kind.particles)
            glued = particle in ("Mc", "O'")
            family = particle + family if glued else f"{particle} {family}"
        return f"{self.given(culture)} {family}"

    def place(self, culture: str) -> str:
        kind, rng = CULTURES[culture], self._rng
        while True:
            name = rng.choice(kind.starts) + rng.choice(kind.place_ends)
            name = name[0] + name[1:].lower()
            if is_held_out(name) == self._held_out and 4 <= len(name) <= 13 and not _TRIPLE.search(name.lower()):
                return name

    def club(self, culture: str) -> ClubName:
        place = self.place(culture)
        forms = _CLUB_FORMS.get(culture, ("{c}", "{c} FC", "FC {c}", "Sporting {c}"))
        name = self._rng.choice(forms).format(c=place)
        # A short name is not in the prompt: one that a commentator could use would have to be guessed.
        short = place[:3].upper() if self._rng.random() < 0.5 else None
        nicknames: tuple[str, ...] = ()
        if self._rng.random() < 0.4:
            nicknames = (f"the {self._rng.choice(_COLOURS + _BEASTS)}",)
        return ClubName(name, short, nicknames)

    def country(self) -> ClubName:
        ours = [country for country in COUNTRIES if is_held_out(country[0]) == self._held_out]
        name, nicknames = self._rng.choice(ours)
        return ClubName(name, None, nicknames)

    def competition(self) -> str:
        return self._rng.choice(_COMPETITIONS)

    def stage(self) -> str:
        return self._rng.choice(_STAGES)

    def venue(self, culture: str) -> str:
        return self._rng.choice(_VENUES).format(c=self.place(culture))
