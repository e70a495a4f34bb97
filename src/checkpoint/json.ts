/** Called with what is wrong and where (index into the text); never returns. */
export type JsonFailure = (problem: string, position: number) => never;

/** Deeper nesting than this is refused, so that hostile text cannot exhaust the stack. */
const MAX_DEPTH = 16;

/**
 * Reads JSON (RFC 8259) from left to right, where `JSON.parse` is too lenient for a file format: it refuses an object
 * that holds a key twice, lone surrogates and deep nesting, gives numbers as they are written (1, 1.0 and 1e0 differ),
 * and builds no more than its caller keeps.
 */
export class JsonReader {
  readonly #text: string;
  readonly #fail: JsonFailure;
  #position = 0;
  #depth = 0;

  constructor(text: string, fail: JsonFailure) {
    this.#text = text;
    this.#fail = fail;
  }

  /** Index of the next character that was not read. */
  get position(): number {
    return this.#position;
  }

  /** Fails at the position reached. */
  fail(problem: string): never {
    return this.#fail(problem, this.#position);
  }

  /** Reads an object; `visit` has to read the value that follows each key. */
  object(visit: (key: string) => void): void {
    const keys = new Set<string>();
    this.#list('{', '}', () => {
      this.#space();
      const start = this.#position;
      const key = this.string();
      if (keys.has(key)) this.#fail(`the key ${quoted(key)} appears twice`, start);
      keys.add(key);
      this.#space();
      if (!this.#take(':')) this.fail('expected ":"');
      visit(key);
    });
  }

  /** Reads an array; `visit` has to read each element. */
  array(visit: () => void): void {
    this.#list('[', ']', visit);
  }

  string(): string {
    this.#space();
    if (!this.#take('"')) this.fail('expected a string');
    let value = '';
    for (let start = this.#position; ; start = this.#position) {
      let code = this.#code();
      while (code !== 0x22 && code !== 0x5c && code >= 0x20) {
        this.#position++;
        code = this.#code();
      }
      value += this.#text.slice(start, this.#position);
      if (code !== 0x5c) break;
      value += this.#escape();
    }
    if (!this.#take('"')) this.fail(this.#atEnd() ? 'a string does not end' : 'a control character in a string');
    if (!value.isWellFormed()) this.fail('a string holds half of a surrogate pair');
    return value;
  }

  /** Reads a number, and returns it as it is written. */
  number(): string {
    this.#space();
    const pattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    pattern.lastIndex = this.#position;
    const [literal] = pattern.exec(this.#text) ?? this.fail('expected a number');
    this.#position += literal.length;
    return literal;
  }

  /** Reads any value, and keeps nothing of it. */
  skip(): void {
    this.#space();
    const next = this.#text[this.#position];
    if (next === '{') this.object(() => this.skip());
    else if (next === '[') this.array(() => this.skip());
    else if (next === '"') this.string();
    else if (!['true', 'false', 'null'].some((word) => this.#take(word))) this.number();
  }

  #list(open: string, close: string, item: () => void): void {
    this.#space();
    if (!this.#take(open)) this.fail(`expected "${open}"`);
    if (++this.#depth > MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH} levels`);
    this.#space();
    if (!this.#take(close)) {
      for (;;) {
        item();
        this.#space();
        if (this.#take(close)) break;
        if (!this.#take(',')) this.fail(this.#atEnd() ? 'it ends too early' : `expected "," or "${close}"`);
      }
    }
    this.#depth--;
  }

  #escape(): string {
    const letter = this.#text[this.#position + 1];
    if (letter === 'u') {
      const digits = this.#text.slice(this.#position + 2, this.#position + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('a broken \\u escape');
      this.#position += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const index = letter === undefined ? -1 : '"\\/bfnrt'.indexOf(letter);
    if (index < 0) this.fail('an unknown escape');
    this.#position += 2;
    return '"\\/\b\f\n\r\t'.charAt(index);
  }

  #take(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#position)) return false;
    this.#position += expected.length;
    return true;
  }

  #space(): void {
    for (
      let code = this.#code();
      code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
      code = this.#code()
    ) {
      this.#position++;
    }
  }

  #atEnd(): boolean {
    return this.#position >= this.#text.length;
  }

  /** The next UTF-16 code unit; −1 at the end. */
  #code(): number {
    return this.#atEnd() ? -1 : this.#text.charCodeAt(this.#position);
  }
}

/** A value from a JSON file as messages show it: on one line, `missing` where there is none. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 100 ? `${text.slice(0, 97)}…` : text;
}

/** A name from a file as messages show it: escaped, so that it cannot steer a terminal, and not longer than a line. */
export function quoted(name: string): string {
  const short = name.length > 100 ? `${name.slice(0, 97)}…` : name;
  return JSON.stringify(short).replace(
    /[\p{Cc}\p{Cf}]/gu,
    (hidden) => `\\u{${(hidden.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
