"""How people and places are called in many languages: given names, family names, and syllables to make more of them."""

from __future__ import annotations

from dataclasses import dataclass


def listed(line: str) -> tuple[str, ...]:
    """The words of a line."""
    return tuple(line.split())


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
        listed(
            "Álvaro Marcos Iker Rubén Joaquín Hugo Sergio Adrián Mateo Nicolás Tomás Emiliano Julián Facundo "
            "Lautaro Gonzalo Agustín Ramiro Esteban Matías Íñigo Unai Lucía Carmen Irene Nerea Paula Alba"
        ),
        listed(
            "Ibáñez Carmona Peña Quiroga Salcedo Villalba Ordóñez Barrios Escudero Montero Aguirre Zabala "
            "Luján Cárdenas Rivas Bustos Núñez Muñoz Galíndez Cañizares Moya Solís Gallardo Herrera Paredes "
            "Roldán"
        ),
        listed("Al Bar Cas Des Es Gar Her Lar Mon Or Pal Qui Ro Sal Tor Ur Val Vi Za Mar Ce Du"),
        listed("aldo ando arra ano edo ena eras ero ija illo inar ita oa ona oza uero ués ales anzo ondo"),
        particles=("de la", "del", "de", "De", "Di"),
        mononym_share=0.06,
        two_family_share=0.1,
        place_ends=listed("alba eda ellín ona uela íz ares osa ante era"),
    ),
    "portuguese": Culture(
        listed(
            "Thiago Rafael Caio Murilo Vitor Renan Otávio Danilo Wesley Everton Luan Bruno Fábio Gonçalo Nuno "
            "Diogo Rúben João Tiago Inês Beatriz Letícia Camila Débora Ary Jefferson"
        ),
        listed(
            "Tavares Moreira Antunes Bragança Queiroz Leão Cordeiro Pacheco Fontoura Lacerda Sampaio Araújo "
            "Guimarães Vasconcelos Nogueira Peixoto Salgueiro Simões Falcão Brandão Macedo Teles Arruda"
        ),
        listed("Al Bar Cal Fer Gui Lan Mar Mo Nei Pa Quei Ra Sa Ta Ve Vi Zei Cor Bra Li"),
        listed("ça inho ão eira eiro ares edo ense inha ota osa uza anda ito eco ardes ema ilva"),
        particles=("da", "dos", "de"),
        mononym_share=0.3,
        place_ends=listed("aré uba enha aquara ópolis anga ema imbra"),
    ),
    "french": Culture(
        listed(
            "Mathis Théo Florian Jérémy Loïc Yohan Rémy Bastien Aurélien Maxence Gaëtan Clément Corentin Léo "
            "Élodie Manon Camille Amandine Thibaud Enzo Hugo Axel"
        ),
        listed(
            "Lacombe Garnier Perrin Chevallier Fabre Rousselet Maurin Delcourt Vasseur Béranger Tessier "
            "Pichon Duhamel Lemaître Cordier Bouvier Gaillard Noël Sauvage Thévenet Grandjean Marchand"
        ),
        listed("Ba Ber Bou Cha Cor Del Du Fau Gau La Le Mar Mon Per Ro Sau Tho Vi Val Bri"),
        listed("bert camp chon court dier fort gnac lard lin met nard neau quet rand rieux sier ville vin teau let"),
        particles=("de", "Le", "Du", "de La"),
        hyphen_share=0.06,
        place_ends=listed("ville court gnac mont bourg eaux ières"),
    ),
    "dutch": Culture(
        listed(
            "Sander Jeroen Bram Thijs Ruben Joost Daan Sven Luuk Teun Koen Jasper Niels Wout Femke Sanne "
            "Lieke Merel Maarten Joris Stijn Pim"
        ),
        listed(
            "Kuiper Hoekstra Bosman Vermeer Dijkman Postma Schouten Veenstra Terpstra Kramer Hendriks "
            "Wagenaar Mulder Brouwer Timmerman Claes Peeters Goossens Lambrecht Wouters"
        ),
        listed("Bak Bos Dijk Gro Haan Hoek Kam Kuy Lo Mee Nij Oos Rij Schip Stee Veld Wes Zand Ver Brink"),
        listed("man stra huis veld mans laar ink ers inga ema beek horst kamp hof dijk"),
        particles=("van", "van de", "van der", "van den", "de", "ter", "ten"),
        place_ends=listed("dam burg hoven drecht horst wijk"),
    ),
    "german": Culture(
        listed(
            "Jonas Niklas Florian Timo Lukas Moritz Felix Kai Sebastian Matthias Jannik Leon Stefan Uwe Jörg "
            "Anja Lena Svenja Alexandra Dominik Robin Tobias"
        ),
        listed(
            "Brandt Köhler Schäfer Lindner Voss Krämer Hofmann Bergmann Ziegler Reuter Böhm Steinbach Kuhn "
            "Wolff Ritter Vogt Schuster Grünwald Lorenz Kessler Thiele Dreyer"
        ),
        listed("Alt Ber Bran Eich Feld Grün Hart Holz Kal Klein Lind Neu Ober Rei Schön Stein Thal Wald Wes Zim"),
        listed("mann berg bach ner hauser meier feld stein ke rich müller hofer ecker ing lein wald"),
        particles=("von",),
        hyphen_share=0.02,
        place_ends=listed("burg heim stadt feld hausen berg"),
    ),
    "balkan": Culture(
        listed(
            "Marko Nemanja Ivan Luka Dejan Zoran Goran Ante Josip Stefan Miloš Darko Vedran Mario Dino Filip "
            "Aleksandar Jelena Ivana Petar Edin Amar"
        ),
        listed(
            "Kovač Babić Perišin Lončar Vuković Radman Tadić Šimić Grgić Brkić Zorić Marić Jurić Ćosić Đukić "
            "Topalović Hadžić Bešić Pavlov Dragić"
        ),
        listed("Bog Dra Gor Jan Kov Lju Mil Nik Ob Pav Rad Stan Tom Vu Zor Šar Ćur Živ Maj Bla"),
        listed("anović ić ović ević enić čić adić ković inac šić ulj aš ek ajić"),
        place_ends=listed("ovac grad ica ina jevo nik"),
    ),
    "nordic": Culture(
        listed(
            "Erik Sondre Magnus Mads Kasper Jonas Viktor Oskar Emil Rasmus Anders Henrik Lars Joakim Birkir "
            "Ari Mikael Signe Freja Ingrid Astrid Aron"
        ),
        listed(
            "Lindqvist Nyberg Dahl Solheim Bakke Haugen Lund Strand Holm Wiklund Ekdal Sørensen Møller Kjær "
            "Østergaard Ödman Åberg Nordli Björnsson Sigurdsson Virtanen Laine"
        ),
        listed("Berg Eng Fors Gran Hag Hel Lind Lund Nor Ny Ost Sand Ström Sund Søn Vik Ås Ø Hed Rør"),
        listed("gren ström berg dahl sen vik gaard quist mark man rud by lund nes strand sson"),
        place_ends=listed("vik by borg stad havn sund"),
    ),
    "slavic": Culture(
        listed(
            "Tomáš Jakub Piotr Wojciech Kamil Łukasz Mateusz Ondřej Vladimír Marek Peter Oleksandr Andriy "
            "Serhiy Yevhen Roman Igor Maksim Denys Kateryna Zuzana Patrik"
        ),
        listed(
            "Novotný Kowal Wrona Zieliński Jankowski Horák Kučera Beneš Mazur Sobol Kravets Bondar Shevchuk "
            "Melnyk Dvorsky Pospíšil Krejčí Gajdoš Lisowski Wójcik Tymko"
        ),
        listed("Bar Bor Cher Dom Gol Gra Hav Jab Kol Kra Lev Mal Nov Pet Rud Sok Str Tka Vor Zab"),
        listed("enko owski ák ík ov yuk ský ecki chuk lík ová in czyk nik an iński"),
        place_ends=listed("owice ov grad sk nice ava"),
    ),
    "turkish": Culture(
        listed("Emre Hakan Burak Cengiz Yusuf Kerem Ozan Mert Orkun Ferdi Kaan Uğur Çağlar Barış Zeki Salih Ebru Ece"),
        listed(
            "Yıldırım Demirel Koçak Şahin Aydın Kaplan Özkan Erdem Çelik Aksoy Tekin Bulut Güneş Karaca Doğan Soyuer"
        ),
        listed("Ak Al Bay Bul Çal De Er Gök Gün Kar Koç Öz Sar Tan Tek Yal Yıl Şen Ay Tur"),
        listed("maz can türk oğlu han demir soy kan lı türkmen gül men baş dağ ateş"),
        place_ends=listed("şehir hisar pınar köy kale"),
    ),
    "arabic": Culture(
        listed(
            "Youssef Hakim Sofiane Riyad Amine Karim Walid Omar Tarek Hamza Bilal Nabil Ismail Anas Zakaria "
            "Mehdi Salem Fahad Saleh Khalid Abdullah Mostafa"
        ),
        listed(
            "Belkacem Haddad Mansouri Benyahia Cherif Bensalem Rahmani Amrani Zaki Fathi Kamara Bouzid "
            "Slimani Taleb Hadji Aziz Lahlou Nasri Ghanem Sabri"
        ),
        listed("Bel Ben Bou Che Dja Fa Gha Ha Ka La Mah Me Na Ra Sa Ta You Za Kha Am"),
        listed("aoui bani dani ek fi hmi idi ima kri lali mani nouni raoui ssi toumi zouk hani bari"),
        particles=("El", "Al", "Ben", "Abu"),
        hyphen_share=0.0,
        place_ends=listed("ira oun ran dah sira"),
    ),
    "west_african": Culture(
        listed(
            "Kwame Kofi Sadio Ismaïla Moussa Cheikh Ousmane Emmanuel Samuel Victor Chidi Ahmed Wilfried Serge "
            "Yaya Alassane Boubacar Habib Aïssata Asisat Thomas Mohammed"
        ),
        listed(
            "Diatta Ndong Ouattara Konaté Sarr Touré Asante Mensah Boateng Okoye Adeyemi Eze Balogun Kamara "
            "Traoré Cissé Sylla Appiah Owusu Onuoha Nwosu Diouf"
        ),
        listed("Ade Aku Ba Bo Cha Di Fo Ka Ko Ma Mba N'D Na Ndi Nke Obi Oko Osa Se Ya"),
        listed("bayo bi dou gne ko la ma mbé ndo ngu oma ra sah té tola wale yemi koro mbo"),
        hyphen_share=0.04,
        mononym_share=0.05,
        place_ends=listed("asi ou ako oro andja"),
    ),
    "japanese": Culture(
        listed(
            "Haruto Ren Yuto Daichi Kaoru Ritsu Takumi Shoya Wataru Hiroki Kento Ayase Junya Keito Aoba Yui Mina Saki"
        ),
        listed(
            "Morita Hasegawa Okada Nishimura Fujii Sakamoto Ueno Kimura Hoshino Arai Yoshioka Tanabe Shibata "
            "Kojima Murata Endou Iwase Matsuda"
        ),
        listed("A Aki Fuji Hara Hashi Ino Iwa Kawa Kita Ko Matsu Mori Naka Nishi Oku Saka Shima Taka Yama Yoshi"),
        listed("da gawa guchi ki moto mura no saki shima ta to ya zawa ne be hara"),
        place_ends=listed("yama saki machi hama oka"),
    ),
    "korean": Culture(
        listed("Min-jae Seung-ho Ji-hoon Woo-young Hyun-soo Jae-sung In-beom Gue-sung Tae-hwan Sang-min Jin-su So-yun"),
        listed("Kwon Bae Noh Yoo Hwang Seo Moon Oh Ahn Ryu Shin Jang Hong Cho Baek Kim Lee Park"),
        listed("Kw Ch H J S Y B P R M D G"),
        listed("ang eon ong un oon im ok eung il"),
        place_ends=listed("ju san cheon won gu"),
    ),
    "british": Culture(
        listed(
            "Harry Jack Callum Declan Rhys Ewan Finlay Connor Aaron Ben Kieran Liam Owen Jude Marcus Kyle "
            "Scott Millie Lauren Beth Ella Ryan"
        ),
        listed(
            "Ashworth Hartley McAllister O'Rourke Gallagher Pritchard Llewellyn Fraser McLeod Barlow "
            "Whitfield Doyle Kavanagh Thornton Bowen Maguire Henshaw Radcliffe Duffy Sinclair Kerrigan Prosser"
        ),
        listed("Ash Bar Brad Col Cran Dun El Ferr Gar Hal Har Ken Lang Mar Nor Pem Rad Stan Thorn Whit"),
        listed("bury by combe den field ford ham ley low man more ridge son stone ton well wick worth"),
        listed(""),
        particles=("Mc", "O'"),
        hyphen_share=0.06,
        place_ends=listed("ham ton bury ford mouth port wick chester"),
    ),
    "italian": Culture(
        listed(
            "Lorenzo Matteo Davide Alessio Gianluca Riccardo Nicolò Sandro Federico Andrea Giacomo Simone "
            "Sara Elena Valentina Manuel"
        ),
        listed(
            "Bellini Ferraro Colombo Rinaldi Moretti Caruso Fontana Gatti Longo Martelli Pagani Serra Tonelli "
            "Vitale Zanetta Bianco"
        ),
        listed("Al Ba Bar Ca Cor Do Fa Fer Ga Lo Man Mon Pa Ra Ros Sa Tor Va Vi Zan"),
        listed("ccio dini ello etti gni ini lli nardi nese otti relli sato tini vani zzi zola"),
        particles=("De", "Di", "Della", "Lo"),
        place_ends=listed("enza ano ona ella aro"),
    ),
    "greek": Culture(
        listed("Giorgos Kostas Dimitris Vangelis Anastasios Petros Stavros Nikos Thanos Christos Panos Manolis"),
        listed("Pavlidis Manolas Kourtis Stavrou Economou Galanis Vlachos Fountas Makris Rota"),
        listed("Dim Gal Kar Kou Lam Mav Nik Pap Sta Tso Vas Zag"),
        listed("akis opoulos idis as iadis ellis elis ontis"),
        place_ends=listed("issa onia opoli ados"),
    ),
}
