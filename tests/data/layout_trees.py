"""Datasets in miniature: every layout of every card, as published, with the defects of copies in the wild.

``build(card, layout, root)`` makes one and says which clips a card must find in it. Files are empty unless a writer of
media is given, so that other tests can put faces into the same trees. ``complete_…`` give all names of a dataset where
its naming alone determines them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: Writes a clip: a video file at a path with a suffix, a folder of images at one without. Label first, path second.
MediaWriter = Callable[[str, Path], None]


def empty_media(label: str, path: Path) -> None:
    """An empty video file, or a folder with two empty images."""
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    else:
        path.mkdir(parents=True, exist_ok=True)
        for number in (1, 2):
            (path / f"{number:05d}.jpg").touch()


@dataclass
class Built:
    """What was built: the folder to give as root, and what a card must find there."""

    root: Path
    media: MediaWriter
    clips: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Clip id -> subject and class name."""
    splits: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Clip id -> split, or one word per official fold."""

    def clip(self, path: str, clip_id: str, subject: str, label: str) -> None:
        """A clip on disk that must be found."""
        self.media(label, self.root / path)
        self.clips[clip_id] = (subject, label)

    def text(self, path: str, content: str | bytes = "") -> None:
        """A file with text."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


SIX = {"anger": "Anger", "disgust": "Disgust", "fear": "Fear", "happiness": "Happiness", "sadness": "Sadness"}
SIX |= {"surprise": "Surprise"}
SEVEN = {"anger": "Angry", "disgust": "Disgust", "fear": "Fear", "happiness": "Happy", "neutral": "Neutral"}
SEVEN |= {"sadness": "Sad", "surprise": "Surprise"}


def ck(built: Built, layout: str) -> None:
    """CK+: images and labels in trees of their own; a sequence without a label, Mac's droppings."""
    images, emotion = {
        "side-by-side": ("cohn-kanade-images", "Emotion"),
        "labels-unpacked": ("cohn-kanade-images", "Emotion_labels/Emotion"),
        "nested": ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion"),
    }[layout]
    codes = {"anger": 1, "disgust": 3, "happiness": 5, "surprise": 7}
    for number, subject in enumerate(("S005", "S010", "S011", "S502")):
        for sequence, label in (("001", "happiness"), ("002", list(codes)[number])):
            clip = f"{subject}/{sequence}"
            built.clip(f"{images}/{clip}", clip, subject, label)
            for image in sorted((built.root / images / clip).glob("*.*")):
                image.rename(image.with_name(f"{subject}_{sequence}_{int(image.stem):08d}{image.suffix}"))
            last = sorted((built.root / images / clip).iterdir())[-1].stem
            built.text(f"{emotion}/{clip}/{last}_emotion.txt", f"   {codes[label]:.7e}\n")
    empty_media("", built.root / images / "S005/003")
    (built.root / emotion / "S005/003").mkdir(parents=True)
    built.text(f"{images}/S005/.DS_Store")
    built.text(f"__MACOSX/{images}/S005/001/._S005_001_00000001.png")


def oulu(built: Built, layout: str) -> None:
    """Oulu-CASIA: spectrum, light, subject, class; other recordings beside it, one sequence missing."""
    pattern = {
        "original": "OriginalImg/{spectrum}/{light}",
        "b-original": "B_OriginalImg/OriginalImg/{spectrum}/{light}",
        "b": "B_OriginalImg/{spectrum}/{light}",
        "cropped": "PreProcess_Img/{spectrum}_Acropped/{light}",
        "cropped-2": "PreProcess/{spectrum}_Acropped/{light}",
    }[layout]
    strong = pattern.format(spectrum="VL", light="Strong")
    for subject in ("P001", "P002", "P010", "P080"):
        for label, folder in SIX.items():
            if (subject, label) != ("P002", "fear"):
                built.clip(f"{strong}/{subject}/{folder}", f"{subject}/{folder}", subject, label)
            for spectrum, light in (("NI", "Strong"), ("VL", "Dark")):
                other = pattern.format(spectrum=spectrum, light=light)
                empty_media(label, built.root / other / subject / folder)
    built.text(f"{strong}/P001/Thumbs.db")


def mmi(built: Built, layout: str) -> None:
    """MMI: a folder per session with two XML files; action units only, profile views, and a manifest instead."""
    codes = {"anger": 1, "disgust": 2, "fear": 3, "happiness": 4, "sadness": 5, "surprise": 6}
    session = 0
    rows = ["clip,label"]
    for subject in ("S001", "S002", "S028"):
        for take, label in enumerate(("anger", "happiness", "surprise"), start=1):
            session += 1
            name = f"{subject}-{take:03d}"
            built.clip(f"Sessions/{session}/{name}.avi", name, subject, label)
            tag = f'<Metatag Name="Emotion" Value="{codes[label]}" />'
            built.text(f"Sessions/{session}/{name}.xml", f"<Annotation>\r\n  {tag}\r\n</Annotation>\r\n")
            built.text(
                f"Sessions/{session}/session.xml",
                '<?xml version="1.0"?>\n<session>\n  <track view="0" />\n</session>\n',
            )
            rows.append(f"{name},{label}")
    if layout == "manifest":
        built.text("manifest.csv", "\ufeff" + "\r\n".join(rows[:-1]) + "\r\n")
        del built.clips[name]
        return
    for number, name, view, content in (
        (90, "S021-001", 1, '<Metatag Name="Emotion" Value="1" />'),
        (91, "S030-001", 0, '<ActionUnit Number="12" />'),
    ):
        empty_media("", built.root / f"Sessions/{number}/{name}.avi")
        built.text(f"Sessions/{number}/{name}.xml", content)
        built.text(f"Sessions/{number}/{name}-oao_aucs.xml", "<Marker />")
        built.text(f"Sessions/{number}/session.xml", f'<session><track view="{view}" /></session>')


def afew(built: Built, layout: str) -> None:
    """AFEW: a folder per side and class; videos, frames, or aligned faces without class; unlabelled test clips."""
    train, val = ("train", "validation") if layout == "frames" else ("Train_AFEW", "Val_AFEW")
    inner = {"videos": ("", ""), "nested": ("Train_AFEW/", "VIDEO/"), "frames": ("", ""), "aligned": ("", "")}[layout]
    for side, folder, below, start in ((("train"), train, inner[0], 46280), (("validation"), val, inner[1], 149120)):
        for number, (label, name) in enumerate(SEVEN.items()):
            for take in range(2):
                clip = f"{start + 100 * number + take:09d}"
                if layout == "frames":
                    path = f"{folder}/{name}/0_{number}_{clip}"
                else:
                    path = f"{folder}/{below}{name}/{clip}.avi"
                if layout == "aligned":
                    if take == 1:  # no face was found in it
                        empty_media(label, built.root / path)
                        continue
                    empty_media(label, built.root / path)
                    suffix = "_Val" if side == "validation" else ""
                    path = f"{folder}/AlignedFaces_LBPTOP_Points{suffix}/Faces/{clip}"
                built.clip(path, f"{side}/{clip}", f"{side}/{clip}", label)
                built.splits[f"{side}/{clip}"] = side
    if layout == "videos":
        empty_media("", built.root / "Test_AFEW/000100000.avi")


def dfew(built: Built, layout: str) -> None:
    """DFEW: five pairs of lists; ids with and without zeros, CRLF, a clip that was not copied, clips in no list."""
    labels = {1: "happiness", 2: "sadness", 3: "neutral", 4: "anger", 5: "surprise", 6: "disgust", 7: "fear"}
    place = {
        "aligned": "Clip/clip_224x224/{:05d}",
        "parts": "Clip/clip_224x224/clip_224x224_part_1/{:05d}",
        "unpadded": "Clip/clip_224x224/{:d}",
        "original": "Clip/original/{:05d}.mp4",
        "original-parts": "Clip/original/data_part_1-2-3/{:05d}.mp4",
        "avi": "Clip/clip_224x224_avi/{:05d}.avi",
        "16f": "Clip/clip_224x224_16f/{:05d}",
        "repository": "data/{:05d}",
    }[layout]
    train, test = {
        "original": ("EmoLabel_DataSplit/train(single_labeled)/set_", "EmoLabel_DataSplit/test(single_labeled)/set_"),
        "repository": ("label/single_trainset_", "label/single_testset_"),
    }.get(layout, ("EmoLabel_DataSplit/train(single-labeled)/set_", "EmoLabel_DataSplit/test(single-labeled)/set_"))
    numbers = [*range(1, 15), 16372]
    for number in numbers:
        clip = f"{number:05d}"
        built.clip(place.format(number), clip, clip, labels[number % 7 + 1])
        built.splits[clip] = tuple("test" if number % 5 == fold else "train" for fold in range(5))
    empty_media("", built.root / place.format(9999))
    end = "\r\n" if layout in ("aligned", "avi") else "\n"
    width = 0 if layout in ("aligned", "original") else 5
    for fold in range(5):
        for side, name in (("train", train), ("test", test)):
            lines = [
                f"{str(number).zfill(width)},{number % 7 + 1}"
                for number in [*numbers, 15]  # 15 is not on disk
                if (number % 5 == fold) == (side == "test")
            ]
            built.text(f"{name}{fold + 1}.csv", end.join(["video_name,label", *lines]) + end)


def ferv(built: Built, layout: str) -> None:
    """FERV39k: lists without a header; scenes and classes in the path."""
    clips, setup = {
        "crops": ("2_ClipsforFaceCrop", "4_setups/All_scenes"),
        "nested": ("2_ClipsforFaceCrop/2_ClipsforFaceCrop", "All_scenes"),
        "image": ("Image/CropFace/2_ClipsforFaceCrop", "EmoLabel/EmoLabel"),
        "scenes": ("3_ClipsforScenImages", "4_setups/All_scenes"),
    }[layout]
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for scene in ("Action", "DailyLife"):
        for number, (label, name) in enumerate(SEVEN.items()):
            for side, take in (("train", 10 + number), ("train", 100 + number), ("test", 267 + number)):
                clip = f"{scene}/{name}/{take:04d}"
                built.clip(f"{clips}/{clip}", clip, clip, label)
                built.splits[clip] = side
                lines[side].append(f"{clip} {name}")
    end = "\r\n" if layout == "nested" else "\n"
    for side, rows in lines.items():
        built.text(f"{setup}/{side}_All.csv", end.join(rows) + end)


def mafw(built: Built, layout: str) -> None:
    """MAFW: five pairs of lists with CRLF; crops, frames or videos; captions in another encoding."""
    place, lists = {
        "faces": ("data/faces/{}", "split/single/no_caption"),
        "frames": ("data/frames/{}", "Train & Test Set/single/no_caption"),
        "clips": ("data/clips/{}.mp4", "split/single/no_caption"),
        "captions": ("data/faces/{}", "split/single/with_caption"),
    }[layout]
    names = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety"]
    names += ["helplessness", "disappointment"]
    for number in range(22):
        clip, label = f"{25 + 137 * number:05d}", names[number % 11]
        built.clip(place.format(clip), clip, clip, label)
        built.splits[clip] = tuple("test" if number // 11 + number % 3 == fold else "train" for fold in range(5))
    for fold in range(5):
        for side in ("train", "test"):
            rows = [
                (f"{clip}.mp4", label) for clip, (_, label) in built.clips.items() if built.splits[clip][fold] == side
            ]
            caption = b"\t" + "一个男人".encode("gbk") + b"\tA man frowns." if layout == "captions" else b""
            join = b"\t" if layout == "captions" else b" "
            text = b"".join(name.encode() + join + label.encode() + caption + b"\r\n" for name, label in rows)
            built.text(f"{lists}/set_{fold + 1}/{side}.txt", text)


def enterface(built: Built, layout: str) -> None:
    """eNTERFACE'05: spaces in names, files of a subject named after another, slips of the pen, an uncut subject."""
    base, gap, suffix = {
        "spaces": ("", " ", ".avi"),
        "inner": ("enterface database/", " ", ".avi"),
        "hyphens": ("", "-", ".avi"),
        "frames": ("face_aligned/", "_", ""),
    }[layout]
    for subject, named in (("1", "s1"), ("3", "s_3"), ("11", "s12"), ("12", "s12"), ("44", "s44")):
        for label in ("anger", "happiness", "surprise"):
            for sentence in (1, 2):
                folder = f"{base}subject{gap}{subject}/{label}/sentence{gap}{sentence}"
                name = f"{named}_{label[:2]}_{sentence}{suffix}"
                built.clip(f"{folder}/{name}", f"s{subject}_{label}_{sentence}", subject, label)
    if suffix:
        empty_media("", built.root / f"{base}subject{gap}6/anger/s6_an.avi")
    built.text(f"{base}subject{gap}1/anger/sentence{gap}1/Thumbs.db")


def ravdess(built: Built, layout: str) -> None:
    """RAVDESS: with sound and without, songs beside speech, sound alone; one folder, a folder per archive, frames."""
    place = {
        "actors": "Actor_{actor}/{name}.mp4",
        "archives": "Video_Speech_Actor_{actor}/Actor_{actor}/{name}.mp4",
        "flat": "{name}.mp4",
        "frames": "face_aligned/Actor_{actor}/{name}",
    }[layout]
    labels = {"01": "neutral", "03": "happiness", "05": "anger", "08": "surprise"}
    for actor in ("01", "02", "05", "24"):
        for code, label in labels.items():
            clip = f"01-{code}-01-01-01-{actor}"
            built.clip(place.format(actor=actor, name=f"01-{clip}"), clip, actor, label)
            empty_media(label, built.root / place.format(actor=actor, name=f"02-{clip}"))
        song = f"02-02-03-01-01-01-{actor}"
        empty_media("", built.root / place.format(actor=actor, name=song))
        built.text(f"Actor_{actor}/03-01-05-01-01-01-{actor}.wav")


def crema(built: Built, layout: str) -> None:
    """CREMA-D: names say it all; in VideoFlash, alone, converted, or as frames."""
    place = {
        "flash": "VideoFlash/{}.flv",
        "flat": "{}.flv",
        "mp4": "VideoMP4/{}.mp4",
        "frames": "face_aligned/{}",
    }[layout]
    labels = {"ANG": "anger", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
    for actor in ("1001", "1019", "1040", "1091"):
        for code, label in labels.items():
            clip = f"{actor}_IEO_{code}_{'XX' if code == 'NEU' else 'HI'}"
            built.clip(place.format(clip), clip, actor, label)
    if layout == "flash":
        built.text("AudioWAV/1001_IEO_ANG_HI.wav")
        built.text("VideoFlash/notes.flv")
        rows = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"']
        for number, clip in enumerate(built.clips, start=1):
            seen = {"1001_IEO_SAD_HI": "A:F", "1019_IEO_ANG_HI": "D"}.get(clip, clip[9])
            rows.append(f'"{number}","{clip}","N","69.1","{seen}","92.22","N","64.78"')
        built.text("processedResults/summaryTable.csv", "\n".join(rows) + "\n")


Builder = Callable[[Built, str], None]

#: Card -> what builds it, and the layouts that it knows; the first is the one that the dataset's authors publish.
TREES: dict[str, tuple[Builder, tuple[str, ...]]] = {
    "ck+": (ck, ("side-by-side", "labels-unpacked", "nested")),
    "oulu-casia": (oulu, ("original", "b-original", "b", "cropped", "cropped-2")),
    "mmi": (mmi, ("sessions", "manifest")),
    "afew": (afew, ("videos", "nested", "frames", "aligned")),
    "dfew": (dfew, ("aligned", "parts", "unpadded", "original", "original-parts", "avi", "16f", "repository")),
    "ferv39k": (ferv, ("crops", "nested", "image", "scenes")),
    "mafw": (mafw, ("faces", "frames", "clips", "captions")),
    "enterface05": (enterface, ("spaces", "inner", "hyphens", "frames")),
    "ravdess": (ravdess, ("actors", "archives", "flat", "frames")),
    "crema-d": (crema, ("flash", "flat", "mp4", "frames")),
}


def all_layouts() -> list[tuple[str, str]]:
    """Every card with every layout."""
    return [(card, layout) for card, (_, layouts) in TREES.items() for layout in layouts]


def build(card: str, layout: str, root: Path, media: MediaWriter = empty_media) -> Built:
    """Build a dataset in ``root``; see ``TREES`` for cards and layouts."""
    built = Built(root, media)
    root.mkdir(parents=True, exist_ok=True)
    TREES[card][0](built, layout)
    return built


def complete_crema() -> list[str]:
    """The 7,442 clips of CREMA-D: 82 of each of 91 actors, less those that were never released."""
    sentences = ["DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]
    emotions = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
    takes = [f"{sentence}_{emotion}_XX" for sentence in sentences for emotion in emotions]
    takes += ["IEO_NEU_XX"]
    takes += [f"IEO_{emotion}_{level}" for emotion in emotions if emotion != "NEU" for level in ("LO", "MD", "HI")]
    never = {"1002_TIE_NEU_XX", "1076_ITS_NEU_XX"}
    for actor, sentence in (("1008", "WSI"), ("1009", "MTI"), ("1019", "ITH")):
        never |= {f"{actor}_{sentence}_{emotion}_XX" for emotion in emotions}
    names = [f"{actor}_{take}" for actor in range(1001, 1092) for take in takes]
    return [name for name in names if name not in never]


def complete_ravdess(channel: str = "01") -> list[str]:
    """The takes of RAVDESS: 60 of speech by each of 24 actors, or 44 of song by 23."""
    emotions = range(1, 9) if channel == "01" else range(1, 7)
    return [
        f"{channel}-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}"
        for actor in range(1, 25)
        if (channel, actor) != ("02", 18)
        for emotion in emotions
        for intensity in (1, 2)
        if (emotion, intensity) != (1, 2)
        for statement in (1, 2)
        for repetition in (1, 2)
    ]


def complete_enterface() -> Iterator[tuple[str, str, int]]:
    """Subject, class and sentence of the 1,287 clips of eNTERFACE'05."""
    for subject in range(1, 45):
        for label in ("anger", "disgust", "fear", "happiness", "sadness", "surprise"):
            for sentence in range(1, 6):
                if subject != 6 and not (subject == 23 and label == "happiness" and sentence < 4):
                    yield str(subject), label, sentence


#: The 118 labelled subjects of CK+ with the number of their labelled sequences; ``+``: one of these shows contempt.
CK_SUBJECTS = """
005:1 010:3 011:6 014:4 022:3 026:4 028:1 029:1 032:5 034:3 035:3 037:3 042:4 044:3 045:2 046:4 050:4
051:2 052:3 053:2 054:3 055:5 056:3 057:3 058:3 059:2 060:3 061:3 062:4 063:2 064:3 065:4 066:4 067:4
068:4 069:3 070:3 071:5 072:2 073:2 074:4 075:4 076:3 077:2 078:3 079:3 080:3 081:3 082:3 083:1 084:2
085:3 086:2 087:4 088:2 089:3 090:3 091:2 092:3 093:2 094:2 095:4 096:3 097:3 098:2 099:3 100:3 101:1
102:3 105:1 106:3 107:2 108:3 109:3 110:1 111:3 112:1 113:3 114:2 115:3 116:3 117:3 119:3 122:1 124:4
125:5 126:2 127:3 128:2 129:4 130:5 131:4 132:5 133:3 134:3 135:2 136:4 137:3 138:5+ 139:1+ 147:1+ 148:1+
149:1+ 151:1+ 154:1+ 155:1+ 156:1+ 157:1+ 158:1+ 160:1+ 501:3 502:3+ 503:3+ 504:4+ 505:2+ 506:4+ 895:1+
999:2
"""


def complete_ck() -> Iterator[tuple[str, bool]]:
    """Subject of each of the 327 labelled sequences of CK+, and whether it shows contempt."""
    for entry in CK_SUBJECTS.split():
        subject, _, number = entry.rstrip("+").partition(":")
        for sequence in range(int(number)):
            yield f"S{subject}", sequence == 0 and entry.endswith("+")
