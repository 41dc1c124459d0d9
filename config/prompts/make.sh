#!/bin/sh
# Speaks every text of texts.json with Debian's flite (English) and espeak-ng (Spanish) and writes the sounds and the
# manifest beside it. For maintainers: what it makes is committed, so neither program is needed to run Sallyport.
# Usage: npm run build && sh config/prompts/make.sh
# Needs: flite espeak-ng sox node. The same versions of them make the same bytes (sox -D: no dither).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# speak LANGUAGE TEXT-FILE WAV: one piece of speech, cut to its sound. 16 bits, 8 kHz, at -3 dB of its own peak: two
# voices in one prompt are equally loud.
speak() {
  case "$1" in
    en)
      flite -voice slt --setf duration_stretch=1.08 -f "$2" -o "$work/raw.wav"
      loudness=''
      ;;
    es)
      espeak-ng -v es-419 -s 165 -g 1 -f "$2" -w "$work/raw.wav"
      # This voice has sharp peaks: at the same peak it would be 8 dB quieter than the English one.
      loudness='gain -n -1 compand 0.0005,0.03 -70,-70,-40,-20,-20,-9,0,-4'
      ;;
    *) echo "make.sh: no voice for $1" >&2; return 1 ;;
  esac
  # The silence effect works from the front only, hence the two reversals.
  # shellcheck disable=SC2086 # $loudness is several words
  sox -D "$work/raw.wav" -r 8000 -c 1 -b 16 "$3" gain -6 rate -v 8000 highpass 120 $loudness \
    silence 1 0.02 0.4% reverse silence 1 0.02 0.4% reverse gain -n -3
}

# Prints "id language piece voice" for each piece of speech, whose words go to $work/<id>.<language>.<piece>.txt.
node -e '
  const { readFileSync, writeFileSync } = require("node:fs");
  const [source, work] = process.argv.slice(1);
  for (const [id, spoken] of Object.entries(JSON.parse(readFileSync(source, "utf8"))))
    for (const [language, text] of Object.entries(spoken))
      [text].flat().forEach((piece, at) => {
        const [voice, words] = typeof piece === "string" ? [language, piece] : Object.entries(piece)[0];
        writeFileSync(`${work}/${id}.${language}.${at}.txt`, words + "\n");
        console.log(id, language, at, voice);
      });
' "$here/texts.json" "$work" >"$work/pieces"

rm -rf "$here/en" "$here/es"
mkdir -p "$here/en" "$here/es"
while read -r id language piece voice; do
  [ "$id" = hold-tone ] && continue
  speak "$voice" "$work/$id.$language.$piece.txt" "$work/$id.$language.$piece.wav"
done <"$work/pieces"

# A tenth of a second of quiet at both ends, and three between two voices.
sox -D -n -r 8000 -c 1 -b 16 "$work/gap.wav" trim 0 0.3
cut -d' ' -f1,2 "$work/pieces" | sort -u | while read -r id language; do
  [ "$id" = hold-tone ] && continue
  set -- "$work/$id.$language.0.wav"
  if [ -e "$work/$id.$language.1.wav" ]; then set -- "$@" "$work/gap.wav" "$work/$id.$language.1.wav"; fi
  sox -D "$@" -e mu-law -b 8 "$here/$language/$id.wav" pad 0.1 0.1
done

# Not the 440 and 480 Hz of a ringback tone, which would say that the other phone rings.
sox -D -n -r 8000 -c 1 -b 16 "$work/tone.wav" synth 2 sine 330 sine 392 remix - fade q 0.15 2 0.3 gain -n -15
for language in en es; do
  sox -D "$work/tone.wav" -e mu-law -b 8 "$here/$language/hold-tone.wav" pad 0 4
done

node --input-type=module -e '
  const { makeManifest } = await import(process.argv[1]);
  await makeManifest(process.argv[2]);
' "$here/../../dist/src/prompts/make-manifest.js" "$here"
