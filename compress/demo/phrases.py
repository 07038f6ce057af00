"""What people say to the demo's voice assistant: intents, phrasings, slots and frames.

Notation: `(a|b)` picks one, `[a]` is said half of the time, `{slot}` is filled from `SLOTS`, and
`{command}` with another intent's command. Commands start with a verb in its base form, so that they
fit behind "remind me to", "don't" and, in their -ing form, behind "instead of".
"""

from dataclasses import dataclass

__all__ = ["CONTRAST_FRAMES", "GERUNDS", "INTENTS", "PLAIN_FRAMES", "SLOTS", "Frames", "Phrasings"]


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Sentences around a `{core}` command that is meant and an `{other}` that is not.

    Attributes:
        train: Frames that every split uses.
        validation: Frames that only the validation split uses.
        test: Frames that only the test split uses.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Phrasings(Frames):
    """The ways to ask for one thing: commands, by split as frames are.

    Attributes:
        statements: Sentences that every split says and no frame can embed.
    """

    statements: tuple[str, ...]


INTENTS: dict[str, Phrasings] = {
    "set_alarm": Phrasings(
        train=(
            "set (an|my|the) alarm (for|at) {time}[ {day}]",
            "set an alarm to {chore} at {time}",
            "wake me [up] at {time}[ {day}]",
            "put an alarm on for {time}[ {day}]",
            "turn on (my|the) {time} alarm",
            "get me up at {time}[ {day}]",
        ),
        statements=(
            "i need an alarm (at|for) {time}[ {day}]",
            "alarm (at|for) {time}[ {day}]",
            "i have to be up by {time}",
            "don't let me sleep past {time}",
        ),
        validation=("put (an|my|the) alarm for {time} on",),
        test=("get an alarm on for {time}[ {day}]",),
    ),
    "cancel_alarm": Phrasings(
        train=(
            "cancel (my|the) [{time} ]alarm",
            "turn off (my|the) [{time} ]alarm",
            "delete the alarm (for|at) {time}[ {day}]",
            "stop the alarm",
            "remove the alarm [that is set ]for {day}",
            "let me sleep in {day}",
        ),
        statements=(
            "i don't need the alarm {day}",
            "no alarm {day}",
            "don't wake me [up] at {time}[ after all]",
            "i won't need to be up at {time}",
        ),
        validation=("turn the [{time} ]alarm off",),
        test=("remove my alarm for {time}[ {day}]",),
    ),
    "set_timer": Phrasings(
        train=(
            "set a timer for {duration}[ for the {food}]",
            "start a {duration} timer",
            "count down {duration}",
            "time the {food} for {duration}",
            "put {duration} on the timer",
        ),
        statements=(
            "{duration} timer",
            "timer for {duration}[ starting now]",
            "let me know when {duration} are over",
            "the {food} needs {duration} tell me when it is done",
        ),
        validation=("start (a|the) timer for {duration}",),
        test=("set {duration} on a timer[ for the {food}]",),
    ),
    "set_reminder": Phrasings(
        train=(
            "remind me to {chore}[ at {time}]",
            "remind me to {command}",
            "remind me {day} to {command}",
            "set a reminder to {chore}[ {day}]",
            "set a reminder to {command}",
            "remind me about {event} {day}",
            "add a reminder for {event} at {time}",
        ),
        statements=(
            "i must not forget to {chore}[ {day}]",
            "i must not forget to {command}",
            "don't let me forget to {command}",
            "don't let me forget {event} {day}",
            "reminder to {chore} at {time}",
        ),
        validation=(
            "add a reminder to {command}",
            "give me a reminder to {chore}",
        ),
        test=(
            "set me a reminder {day} to {command}",
            "add a reminder {day} to {chore}",
        ),
    ),
    "play_music": Phrasings(
        train=(
            "play [the song ]{song}[ by {artist}]",
            "play [some|a little] {genre}",
            "put on [some] {genre}",
            "put {song} on[ in the {room}]",
            "start my {playlist} playlist",
            "turn on the music[ in the {room}]",
            "play (the last|something from my) {playlist} playlist",
        ),
        statements=(
            "i want to hear {song}[ by {artist}]",
            "let's listen to [some] {genre}",
            "i am in the mood for {genre}",
            "how about some {genre} in the {room}",
        ),
        validation=("let me hear {song}[ by {artist}]",),
        test=("put the {playlist} playlist on",),
    ),
    "stop_music": Phrasings(
        train=(
            "stop the music[ in the {room}]",
            "turn off the (music|{genre})",
            "stop playing {song}",
            "pause [the song] {song}",
            "turn the music off[ in the {room}]",
            "pause the {playlist} playlist",
        ),
        statements=(
            "no more {genre}",
            "i don't want to hear {song}[ any more]",
            "that is enough music for {day}",
            "quiet please the {genre} is too loud",
        ),
        validation=("turn the {genre} off",),
        test=("stop the {genre}[ in the {room}]",),
    ),
    "add_to_playlist": Phrasings(
        train=(
            "add {song} to my {playlist} playlist",
            "put {song} on (my|the) {playlist} playlist",
            "add [some] {genre} to the {playlist} playlist",
            "save {song} [by {artist} ]to my {playlist} playlist",
            "add this song to {playlist}",
        ),
        statements=(
            "i want {song} on my {playlist} playlist",
            "{song} belongs on my {playlist} playlist",
            "my {playlist} playlist needs {song}",
        ),
        validation=("put [some] {genre} on my {playlist} playlist",),
        test=("save {song} to the playlist {playlist}",),
    ),
    "lights_on": Phrasings(
        train=(
            "turn on the [{room} ]lights",
            "turn the [{room} ]lights on[ at {time}]",
            "switch on the (lamp|light) in the {room}",
            "light up the {room}",
            "leave the {room} lights on",
        ),
        statements=(
            "it is too dark in the {room}",
            "lights on in the {room}",
            "i can't see anything in the {room}",
            "don't leave the {room} in the dark",
        ),
        validation=("turn on the (lamp|light) in the {room}",),
        test=("switch the [{room} ]lights on",),
    ),
    "lights_off": Phrasings(
        train=(
            "turn off the [{room} ]lights",
            "turn the [{room} ]lights off[ at {time}]",
            "switch off the (lamp|light) in the {room}",
            "make the {room} dark",
            "leave the {room} lights off",
        ),
        statements=(
            "it is too bright in the {room}",
            "lights off in the {room}",
            "nobody needs the light in the {room}",
            "don't leave the lights on in the {room}",
        ),
        validation=("turn off the (lamp|light) in the {room}",),
        test=("switch the [{room} ]lights off",),
    ),
    "call_contact": Phrasings(
        train=(
            "call {name}[ at {time}]",
            "call {name} about {event}",
            "phone {name}",
            "give {name} a call",
            "start a call with {name}",
            "dial the number of {name}",
        ),
        statements=(
            "i want to talk to {name}",
            "get {name} on the phone",
            "i need to speak with {name} about {event}",
        ),
        validation=("call the number of {name}",),
        test=("start a phone call with {name}",),
    ),
    "send_message": Phrasings(
        train=(
            "tell {name} [that] {fact}",
            "tell {name} to {command}",
            "tell {name} to {chore}",
            "text {name} [that] {fact}",
            "send [a message to] {name} saying {fact}",
            "send a message to {name} to {command}",
            "ask {name} to {command}",
            "ask {name} to call me about {event}",
        ),
        statements=(
            "message to {name} {fact}",
            "{name} should know that {fact}",
            "i want {name} to {command} let them know",
            "new message for {name} please {command}",
        ),
        validation=(
            "send {name} a message that {fact}",
            "text {name} to {command}",
        ),
        test=(
            "send a text to {name} saying {fact}",
            "send {name} a message to {command}",
        ),
    ),
    "read_messages": Phrasings(
        train=(
            "read [me] (my|the new) messages[ from {name}]",
            "read [me] the message from {name}[ about {event}]",
            "check my messages",
            "open the last text from {name}",
            "show me what {name} sent[ {day}]",
        ),
        statements=(
            "did {name} text me[ about {event}]",
            "what did {name} tell me to do",
            "what does the message from {name} say",
            "do i have a message from {name}",
            "has {name} asked me to {command}",
        ),
        validation=("read [me] the last message from {name}",),
        test=("show me (my|the) new messages[ from {name}]",),
    ),
    "weather": Phrasings(
        train=(
            "tell me the weather [in {place} ]{day}",
            "check the weather for {event} {day}",
            "show me the forecast for {place}",
            "check if it will rain {day}[ at {time}]",
        ),
        statements=(
            "what is the weather like in {place}[ {day}]",
            "will it (rain|snow) {day}[ in {place}]",
            "do i need an umbrella (for {event}|{day})",
            "how cold will it be at {time} {day}",
            "is it warm enough to {chore} {day}",
        ),
        validation=("check how cold it will be in {place} {day}",),
        test=("tell me if it will (rain|snow) {day}",),
    ),
    "navigate": Phrasings(
        train=(
            "take me to {place}",
            "drive [me] to {place}",
            "show me the way to {place}",
            "start the route to {place}",
            "find the fastest way to {place} at {time}",
        ),
        statements=(
            "how do i get to {place}[ by {time}]",
            "directions to {place}",
            "how long is the drive to {place}",
            "where is {place}",
            "i have to be in {place} by {time}",
        ),
        validation=("show me how to get to {place}",),
        test=("find the way to {place}",),
    ),
    "add_to_list": Phrasings(
        train=(
            "add {food} to (my|the) shopping list",
            "put {food} on the (shopping|grocery) list",
            "add {food} and {food} to the list",
            "write {food} on my shopping list",
        ),
        statements=(
            "we are out of {food}",
            "we need {food} and {food}",
            "{food} should be on the shopping list",
            "i have to buy {food} {day}",
        ),
        validation=("write {food} and {food} on the grocery list",),
        test=("add {food} to the grocery list",),
    ),
    "take_note": Phrasings(
        train=(
            "take a note that {fact}",
            "make a note to {command}",
            "make a note that {fact}",
            "write down that {fact}",
            "write down {event} {day}",
            "add a note saying {fact}",
            "take a note to {chore}",
        ),
        statements=(
            "new note {fact}",
            "note to self {command}",
            "note to self {fact}",
        ),
        validation=(
            "take a note saying {fact}",
            "take a note to {command}",
        ),
        test=(
            "write a note that {fact}",
            "write down to {command}",
        ),
    ),
}

PLAIN_FRAMES = Frames(
    train=(
        "{core}",
        "{core}",
        "(can|could|would) you {core}[ please]",
        "please {core}",
        "{core} please",
        "(hey|okay) [assistant ]{core}",
        "i (want|need) you to {core}",
        "i would like you to {core}",
    ),
    validation=("(hey|okay) assistant could you {core}",),
    test=("i would like you to please {core}",),
)

CONTRAST_FRAMES = Frames(
    train=(
        "don't {other} [please ]{core}",
        "{core} don't {other}",
        "{core} instead of {othering}",
        "instead of {othering} [please ]{core}",
        "i said {core} not {other}",
        "i didn't say {other} i said {core}",
        "{other} (no wait|actually no|sorry i mean) {core}",
        "i don't want you to {other} i want you to {core}",
        "i want you to {core} i don't want you to {other}",
        "{core} [but] do not {other}",
        "you don't have to {other} (just|only) {core}",
        "{core} before it is time to {other}",
        "before it is time to {other} {core}",
        "when it is time to {other} {core}",
        "{core} when it is time to {other}",
        "never mind {othering} {core}",
    ),
    validation=(
        "please {core} don't {other}",
        "do not {other} (just|only) {core}",
        "i said {core} i didn't say {other}",
    ),
    test=(
        "can you {core} instead of {othering}",
        "{core} you don't have to {other}",
        "no wait don't {other} {core}",
    ),
)

# The -ing form of every verb a command starts with.
GERUNDS: dict[str, str] = {
    "add": "adding",
    "ask": "asking",
    "call": "calling",
    "cancel": "cancelling",
    "check": "checking",
    "count": "counting",
    "delete": "deleting",
    "dial": "dialling",
    "drive": "driving",
    "find": "finding",
    "get": "getting",
    "give": "giving",
    "leave": "leaving",
    "let": "letting",
    "light": "lighting",
    "make": "making",
    "open": "opening",
    "pause": "pausing",
    "phone": "phoning",
    "play": "playing",
    "put": "putting",
    "read": "reading",
    "remind": "reminding",
    "remove": "removing",
    "save": "saving",
    "send": "sending",
    "set": "setting",
    "show": "showing",
    "start": "starting",
    "stop": "stopping",
    "switch": "switching",
    "take": "taking",
    "tell": "telling",
    "text": "texting",
    "time": "timing",
    "turn": "turning",
    "wake": "waking",
    "write": "writing",
}

# What a slot may be: alternatives in the same notation.
SLOTS: dict[str, str] = {
    "time": (
        "{hour}|{hour} (thirty|fifteen|twenty|forty five)|half past {hour}|"
        "quarter (to|past) {hour}|{hour} (in the morning|in the evening|a m|p m|o'clock)|"
        "noon|midnight"
    ),
    "hour": "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve",
    "day": (
        "today|tomorrow|tonight|(on|next|this) {weekday}|tomorrow (morning|evening|night)|"
        "this weekend"
    ),
    "weekday": "monday|tuesday|wednesday|thursday|friday|saturday|sunday",
    "duration": (
        "(two|three|four|five|six|eight|ten|twelve|fifteen|twenty|forty|ninety) minutes|"
        "(thirty|forty five|sixty) seconds|half an hour|(an|one) hour[ and a half]"
    ),
    "name": (
        "anna|ben|carla|david|elif|farid|grace|hugo|ines|jonas|kofi|lena|marco|nadia|omar|"
        "paula|quentin|rosa|samir|tess|umut|vera|wanda|yusuf|zoe|"
        "my (sister|brother|mother|boss|landlord|neighbour)|"
        "the (dentist|office|school|plumber|restaurant)"
    ),
    "room": (
        "kitchen|bathroom|bedroom|garage|hallway|garden|office|attic|basement|living room|"
        "guest room|dining room"
    ),
    "place": (
        "lisbon|oslo|hamburg|toronto|nairobi|osaka|porto|dresden|bergen|"
        "the (airport|station|office|gym|museum|library|old town|supermarket|dentist)|"
        "{event_place}"
    ),
    "event_place": "the concert hall|the music school|the call centre|the light house",
    "food": (
        "milk|eggs|bread|pasta|rice|tomatoes|onions|coffee|butter|cheese|apples|lentils|"
        "olive oil|orange juice|light beer|alarm clock batteries|note paper|lamp oil"
    ),
    "genre": (
        "jazz|techno|folk|opera|blues|reggae|salsa|metal|swing|rain sounds|morning music|"
        "piano music|dance music"
    ),
    "artist": (
        "the night callers|velvet timer|anna and the alarms|river kitchen|the reminders|"
        "ten past oslo|marco moon|slow weather|the light switches"
    ),
    # Titles that sound like commands: only their place in the sentence says that they are not.
    "song": (
        "wake me at midnight|call me from the station|turn off the lights|cancel my heart|"
        "stop the rain|note to my brother|five minutes to noon|set the timer to love|"
        "remind me of lisbon|lights on in the garden|message from my mother|"
        "take me to the attic|the weather in oslo|no more alarms|paper boats|"
        "glass elevator|honey and thunder|blue lanterns|wooden satellites|a quiet harbour"
    ),
    "playlist": (
        "workout|morning|kitchen|dinner|party|sunday|focus|gym|holiday|road trip|rainy day|"
        "light sleep|wake up"
    ),
    "event": (
        "the meeting|the concert|the dentist appointment|the parents evening|"
        "the train to {place}|the birthday of {name}|the party|the phone call with {name}|"
        "the bike race|the playlist for the party"
    ),
    "chore": (
        "water the plants|take out the trash|buy {food}|walk the dog|pay the rent|"
        "do the laundry|pick up {name}|go to the gym|cancel the gym|check the oven|"
        "stop at {place}|practise the piano|take my pills|charge the phone"
    ),
    "fact": (
        "i will be late {day}|we are out of {food}|the {room} lights are broken|"
        "i left the music on in the {room}|the alarm code is {hour} {hour} {hour}|"
        "{name} called about {event}|{event} starts at {time}|it will rain {day}|"
        "{name} likes {genre}|the timer on the oven is wrong|the way to {place} is blocked|"
        "i added {song} to the {playlist} playlist|{name} sent a message {day}|"
        "i set the alarm for {time}|the lights go off at {time}"
    ),
}
