"""Texts of the page, in each of its languages under the same keys."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_LANGUAGE = "en"

#: By language and key; `{name}` in a text stands for a value.
TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "language": "English",
        "title": "Which is it?",
        "lead": "Show the model a picture, and it says what it sees.",
        "knows": "It knows {count} classes: {names}",
        "and_more": "and {count} more",
        "comma": ", ",
        "skip": "Skip to the results",
        "drop": "Drop pictures here, or choose them",
        "drop_touch": "Choose pictures",
        "paste": "You can also paste one with {keys}.",
        "release": "Let go to add them",
        "camera": "Take a photo",
        "privacy": "Pictures go to this server alone, and it keeps none of them.",
        "privacy_collects": (
            "Pictures go to this server alone. It keeps those that you correct, and no others."
        ),
        "results": "Results",
        "clear_all": "Clear all",
        "cleared": "All results are cleared.",
        "remove": "Remove",
        "remove_name": "Remove {name}",
        "pasted": "Pasted picture",
        "waiting": "Waiting …",
        "looking": "Looking …",
        "busy": "The server is busy; trying again in {seconds} s …",
        "percent": "{number}\u00a0%",
        "probabilities": "How probable each class is",
        "if_known": "If it is one of the classes that the model knows:",
        "unsure": "Unsure",
        "unsure_why": "The model cannot tell well enough. Its best guess is {label}.",
        "unfamiliar": "Unfamiliar",
        "unfamiliar_why": (
            "This picture is unlike those that the model has learned from, so that it may show "
            "something else altogether. The nearest that the model knows is {label}."
        ),
        "unfamiliar_note": (
            "Take care: this picture is unlike those that the model has learned from, so that it "
            "may show something else altogether."
        ),
        "failed": "No picture that can be read",
        "failed_why": "The server says: {reason}",
        "too_large": (
            "The file has {size}; the server takes at most {most}. Send a smaller picture."
        ),
        "too_many": "Only the first {count} files are taken at a time; {left} are left out.",
        "nothing": "There was no file in that. Drop, paste or choose pictures.",
        "unreadable": "The browser cannot read this file. Is it still there?",
        "unreachable": "The server cannot be reached. Is it still running?",
        "error": "The server could not answer ({status}): {reason}",
        "again": "Try again",
        "picture_of": "The picture {name}",
        "no_preview": "This browser cannot show this kind of file",
        "heat": "Show what decided",
        "heat_alt": "What in the picture {name} speaks for {label} (orange) and against it (blue)",
        "heat_legend": (
            "Orange speaks for {label}, blue against it. Within the line lies half of all that "
            "speaks for it."
        ),
        "heat_failed": "What decided cannot be shown for this picture.",
        "nearest": "Most alike among the pictures that it learned from",
        "nearest_alt": "A training picture of {label}",
        "correct": "Not right? Correct it",
        "correct_title": "What does the picture show?",
        "correct_other": "Something else",
        "correct_placeholder": "Name of the class",
        "correct_save": "Save",
        "correct_none": "None of these",
        "correct_saving": "Saving …",
        "corrected": "Saved as {label}. Thank you.",
        "correct_change": "Change",
        "correct_label": (
            "That cannot be the name of a class: write one line of 1 to 100 ordinary letters."
        ),
        "correct_picture": "The server cannot read this picture, so that it does not keep it.",
        "correct_limit": "The server has collected as many corrections as it may keep.",
        "correct_full": "Not saved: the disk of the server is full.",
        "correct_storage": "Not saved: the server cannot write where it collects corrections.",
        "token_title": "This server asks for a token",
        "token_why": "Whoever started it can tell you. It is kept until you close this tab.",
        "token": "Token",
        "token_use": "Continue",
        "token_wrong": "That is not the token of this server.",
        "said": "{name}: {label}, {percent}",
        "said_bare": "{name}: {label}",
        "about": "About this model",
        "accuracy": "Accuracy",
        "accuracy_interval": "{accuracy} ({low} to {high})",
        "trained": "Trained",
        "pictures": "Training pictures",
        "classes": "Classes",
        "no_script": "This page works with JavaScript, which is off in this browser.",
        "made_with": "Served by featx. This page asks no other host for anything.",
    },
    "ja": {
        "language": "日本語",
        "title": "これは何でしょう？",
        "lead": "写真を見せると、モデルが何に見えるかを答えます。",
        "knows": "見分けられるのは{count}種類です：{names}",
        "and_more": "ほか{count}種類",
        "comma": "、",
        "skip": "結果へ進む",
        "drop": "ここに写真をドロップするか、クリックして選んでください",
        "drop_touch": "写真を選ぶ",
        "paste": "{keys} で貼り付けることもできます。",
        "release": "ここで離すと追加されます",
        "camera": "写真を撮る",
        "privacy": "写真はこのサーバーにだけ送られ、保存されません。",
        "privacy_collects": (
            "写真はこのサーバーにだけ送られます。保存されるのは、答えを訂正した写真だけです。"
        ),
        "results": "結果",
        "clear_all": "すべて消す",
        "cleared": "すべての結果を消しました。",
        "remove": "消す",
        "remove_name": "{name}を消す",
        "pasted": "貼り付けた写真",
        "waiting": "順番を待っています…",
        "looking": "調べています…",
        "busy": "サーバーが混み合っています。{seconds}秒後にもう一度試します…",
        "percent": "{number}%",
        "probabilities": "種類ごとの確率",
        "if_known": "知っている種類のどれかだとすれば：",
        "unsure": "自信がありません",
        "unsure_why": (
            "はっきりとは見分けられませんでした。いちばん近いと思われるのは「{label}」です。"
        ),
        "unfamiliar": "見慣れない写真です",
        "unfamiliar_why": (
            "モデルが学習した写真とは似ていません。まったく別のものが写っているのかもしれません。"
            "知っている中でいちばん近いのは「{label}」です。"
        ),
        "unfamiliar_note": (
            "ご注意ください。モデルが学習した写真とは似ていないため、"
            "まったく別のものが写っているのかもしれません。"
        ),
        "failed": "写真として読み込めません",
        "failed_why": "サーバーからの説明：{reason}",
        "too_large": (
            "このファイルは{size}あります。サーバーが受け取れるのは{most}までです。"
            "もっと小さい写真を送ってください。"
        ),
        "too_many": "一度に追加できるのは{count}個までです。残りの{left}個は追加しませんでした。",
        "nothing": (
            "ファイルが見つかりませんでした。写真をドロップするか、貼り付けるか、選んでください。"
        ),
        "unreadable": "ブラウザーがこのファイルを読めません。まだあるか確かめてください。",
        "unreachable": "サーバーに接続できません。サーバーが動いているか確かめてください。",
        "error": "サーバーが答えられませんでした（{status}）：{reason}",
        "again": "もう一度試す",
        "picture_of": "写真 {name}",
        "no_preview": "この種類のファイルはブラウザーで表示できません",
        "heat": "決め手を見る",
        "heat_alt": "写真 {name} のうち、「{label}」の決め手をオレンジ色、その逆を青色で示した図",
        "heat_legend": (
            "オレンジ色の部分が「{label}」の決め手、青色の部分はその逆です。"
            "線の内側に決め手の半分が含まれます。"
        ),
        "heat_failed": "この写真では決め手を表示できません。",
        "nearest": "学習した写真の中で、よく似ているもの",
        "nearest_alt": "「{label}」の学習写真",
        "correct": "違いますか？ 訂正する",
        "correct_title": "何が写っていますか？",
        "correct_other": "それ以外",
        "correct_placeholder": "種類の名前",
        "correct_save": "保存",
        "correct_none": "どれでもない",
        "correct_saving": "保存しています…",
        "corrected": "「{label}」として保存しました。ありがとうございます。",
        "correct_change": "変更する",
        "correct_label": (
            "その名前は使えません。普通の文字で1～100文字、改行なしで入力してください。"
        ),
        "correct_picture": "サーバーがこの写真を読み込めないため、保存しませんでした。",
        "correct_limit": "サーバーに保存できる訂正の数が上限に達しています。",
        "correct_full": "保存できませんでした。サーバーのディスクがいっぱいです。",
        "correct_storage": "保存できませんでした。サーバーが訂正の保存先に書き込めません。",
        "token_title": "このサーバーにはトークンが必要です",
        "token_why": ("サーバーを起動した人に聞いてください。このタブを閉じるまで覚えておきます。"),
        "token": "トークン",
        "token_use": "続ける",
        "token_wrong": "トークンが違います。",
        "said": "{name}：{label}、{percent}",
        "said_bare": "{name}：{label}",
        "about": "このモデルについて",
        "accuracy": "正解率",
        "accuracy_interval": "{accuracy}（{low}～{high}）",
        "trained": "学習した日",
        "pictures": "学習した写真",
        "classes": "種類",
        "no_script": "このページにはJavaScriptが必要です。ブラウザーで有効にしてください。",
        "made_with": "featx で動いています。ほかのサーバーには一切接続しません。",
    },
}


def language_of(accepted: str) -> str:
    """Choose the language of the page by an Accept-Language header, such as "ja,en-US;q=0.7"."""
    wishes = []
    for place, wish in enumerate(accepted[:1000].split(",")):
        tag, _, parameter = wish.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            quality = 0.0
        if language in TEXTS and quality > 0:
            wishes.append((-quality, place, language))
    return min(wishes)[2] if wishes else DEFAULT_LANGUAGE
