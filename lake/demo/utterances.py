"""Users' texts to miyou, by language.

Belongs here: made-up sentences. Does not: who says them when (dialogue).
"""

from __future__ import annotations

import random

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "ko": (
        "미유야, {place} 날씨 어때?",
        "오늘 하루 {mood}. 얘기 좀 들어줄래?",
        "내일 아침 {hour}시에 깨워줘 ⏰",
        "지난번에 말한 {topic} 기억나?",
        "{topic} 얘기 더 해줘",
        "요즘 {mood}. 어떻게 하면 좋을까?",
        "{place}에서 가볼 만한 카페 추천해줘 ☕",
        "자기 전에 들을 만한 짧은 이야기 하나만 들려줘. 너무 무섭지 않은 걸로!",
        "고마워, 덕분에 기분이 좋아졌어 😊",
        "영어로 “{topic}”은 뭐라고 해?",
        "응",
        "그다음은 어떻게 됐어?",
    ),
    "en": (
        "What did I tell you about {topic} last week?",
        "Can you wake me up at {hour}?",
        "I feel a bit {mood} today, to be honest.",
        "Tell me something nice about {place}.",
        "How do I say “good night” in Korean, slowly please?",
        "That’s enough for now, thank you 🙏",
    ),
    "ja": (
        "{place}の天気はどう？",
        "{topic}についてもっと教えて。",
        "今日はちょっと{mood}。",
    ),
}
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ko": {
        "place": ("서울", "부산", "제주도", "성수동", "강릉", "전주 한옥마을"),
        "mood": ("너무 피곤해", "좀 우울해", "기분이 최고야", "정신이 하나도 없었어"),
        "topic": ("여행 계획", "우리 고양이", "면접 준비", "새로 산 기타", "엄마 생신 선물"),
    },
    "en": {
        "place": ("Seoul", "Busan", "Jeju", "the café next door"),
        "mood": ("tired", "lonely", "over the moon", "nervous"),
        "topic": ("my trip", "the job interview", "my cat’s diet", "mum’s birthday"),
    },
    "ja": {
        "place": ("ソウル", "釜山", "済州島"),
        "mood": ("疲れた", "寂しい", "楽しかった"),
        "topic": ("旅行の計画", "うちの猫", "新しいギター"),
    },
}
_LANGUAGES = tuple(_TEMPLATES)
_SHARES = (78, 16, 6)


def pick_language(rng: random.Random) -> str:
    """A two-letter code."""
    return rng.choices(_LANGUAGES, _SHARES)[0]


def say(rng: random.Random, language: str) -> str:
    """One sentence."""
    words = {slot: rng.choice(choices) for slot, choices in _WORDS[language].items()}
    return rng.choice(_TEMPLATES[language]).format(hour=rng.randint(5, 11), **words)


def java_length(text: str) -> int:
    """UTF-16 code units, as `String.length()` counts them."""
    return len(text.encode("utf-16-le")) // 2
