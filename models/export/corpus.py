"""Sentences for the small tokenizers of the tiny random models, with what tokenizers find hard."""

ENGLISH = """The harbour was quiet when the first boats came back from the sea.
She said that nobody had told her about the meeting on Monday.
We are going to look at the numbers again before we decide anything.
Good evening and welcome to the programme.
It rained for three days and the river rose by two metres.
They have not said when the bridge will be open to traffic again.
I think that he is right but I would like to hear the other side.
The children were waiting in front of the school for the bus.
Prices went up by seven percent in the last twelve months.
Nobody knows what will happen to the old station.
Could you tell us what you saw on that morning?
The doctor asked him to come back in a week.
Most of the people here work in the factory or on the farms.
There is a small museum behind the town hall.
He opened the window, looked outside and laughed.""".split("\n")

SPANISH = """El puerto estaba tranquilo cuando volvieron los primeros barcos del mar.
Ella dijo que nadie le había hablado de la reunión del lunes.
Vamos a mirar otra vez los números antes de decidir nada.
Buenas tardes y bienvenidos al programa.
Llovió durante tres días y el río subió dos metros.
No han dicho cuándo se abrirá de nuevo el puente al tráfico.
Creo que tiene razón pero me gustaría oír a la otra parte.
Los niños esperaban el autobús delante de la escuela.
Los precios subieron un siete por ciento en los últimos doce meses.
Nadie sabe qué pasará con la vieja estación.
¿Podría decirnos qué vio usted aquella mañana?
El médico le pidió que volviera dentro de una semana.
La mayoría de la gente de aquí trabaja en la fábrica o en el campo.
Hay un pequeño museo detrás del ayuntamiento.
Abrió la ventana, miró hacia fuera y se rió.""".split("\n")

# What is tokenized for the reference: words that are known and not, signs that are rewritten, blanks, other scripts.
ASKED = [
    "The boats came back.",
    "Nobody knows what will happen, she said.",
    "  Prices   rose by 7 %  in twelve months ",
    "ﬁve oﬃces … and “quotes” — ｆｕｌｌ ｗｉｄｔｈ",
    "日本 the station Ωmega",
    "Could you tell us?",
    "I would like to hear the doctor and the children in front of the old town hall on Monday morning.",
    "x",
]

# Rewriting rules as in SentencePiece's own tables: code points in, code points out. Longer ones win.
RULES = [
    ("ﬁ", "fi"),
    ("ﬀ", "ff"),
    ("ﬃ", "ffi"),
    ("…", "..."),
    ("“", '"'),
    ("”", '"'),
    ("—", "-"),
    (" ", " "),
    ("\u3000", " "),
    ("\t", " "),
    ("e\u0301", "é"),
    *[(chr(0xFF41 + n), chr(0x61 + n)) for n in range(26)],
]


def rules_file(path):
    with open(path, "w", encoding="utf-8") as file:
        for source, target in RULES:
            points = [" ".join(f"{ord(c):X}" for c in side) for side in (source, target)]
            file.write("\t".join(points) + "\n")
