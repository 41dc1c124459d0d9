import { useCell } from './cell.js';
import { type Language, language } from './settings.js';

type Both<W> = {
  readonly [K in keyof W]: W[K] extends string
    ? string
    : W[K] extends (...given: infer Given) => string
      ? (...given: Given) => string
      : Both<W[K]>;
};

/**
 * Words of a page in every language of the console. A word that one language lacks, or has more of, does not compile.
 * A word is a text, a function that makes one of what is given, or a table of words.
 */
export const defineWords = <const W extends object>(words: {
  readonly en: W;
  readonly es: Both<NoInfer<W>>;
}): Readonly<Record<Language, Both<W>>> => words as unknown as Readonly<Record<Language, Both<W>>>;

/** The words in the language of now. */
export const useWords = <W>(words: Readonly<Record<Language, W>>): W => words[useCell(language)];

/** The same outside of what is drawn. */
export const wordsNow = <W>(words: Readonly<Record<Language, W>>): W => words[language.get()];
