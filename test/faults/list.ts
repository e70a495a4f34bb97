/** One way to fail, and how it ends. */
export interface FaultKind {
  /** What goes wrong. */
  readonly what: string;
  /** What whoever runs it gets. */
  readonly outcome: string;
  /** Where it is not that of its class. */
  readonly exit?: number | string;
}

/** Faults of one class have one exit code. They are numbered through. */
export interface FaultClass {
  readonly title: string;
  readonly exit: number;
  readonly faults: readonly FaultKind[];
}

export const FAULTS: readonly FaultClass[] = [
  {
    title: 'Model files',
    exit: 3,
    faults: [
      { what: 'The folder or a file is missing', outcome: 'named, with the ways to name a model' },
      { what: 'The weights file is empty', outcome: 'refused' },
      { what: 'It is shorter than the 8 bytes of the header length', outcome: 'refused, with its size' },
      {
        what: 'The header length is over 100,000,000, over the file, or past 2^53',
        outcome: 'refused, with the length',
      },
      { what: 'The header is not UTF-8, not JSON, or no object', outcome: 'refused, with the place' },
      { what: 'A key appears twice in the header', outcome: 'refused; JSON.parse would have taken the last' },
      {
        what: 'A dtype is unknown, or one that weights are not taken from',
        outcome: 'refused where the tensor is needed',
      },
      { what: 'Shape, dtype and byte range do not agree, or are no sizes', outcome: 'refused, with both sides' },
      { what: 'Byte ranges overlap, leave a hole, or do not fill the file', outcome: 'refused, naming the tensor' },
      { what: 'The file is cut off', outcome: 'refused, with the number of bytes that are missing' },
      { what: 'A tensor that the model needs is not there', outcome: 'named, with the nearest names that are' },
      { what: 'A tensor has another shape than the config asks for', outcome: 'refused, with both shapes' },
      { what: 'A shard is absent, or lacks a tensor the index promises', outcome: 'named; layers before it still run' },
      { what: 'config.json is missing, invalid, or not that of a BERT encoder', outcome: 'refused, with the value' },
      { what: 'The hidden size is no multiple of the number of heads', outcome: 'refused, with both' },
      { what: 'A layer is asked for that the model does not have', outcome: 'says how many it has' },
      { what: 'The vocabulary has a token past the word embeddings', outcome: 'names the token, its id, the rows' },
      { what: 'A weight is NaN or infinite', outcome: 'names the tensor and the element; looked for on the GPU' },
      { what: 'The file is a pickle, GGUF or ONNX', outcome: 'says what it is and what is needed' },
      { what: 'The file changes while it is read', outcome: 'noticed, and no result given' },
    ],
  },
  {
    title: 'Text and input files',
    exit: 4,
    faults: [
      { what: 'The input is missing, a folder, or unreadable', outcome: 'named, with the reason' },
      { what: 'It is not UTF-8', outcome: 'refused, with the offset of the first wrong byte' },
      { what: 'It is empty, or white space', outcome: 'a result without a ranked token', exit: 0 },
      { what: 'A text is longer than the model takes', outcome: 'windows; an error with --long error', exit: '0, 4' },
      { what: 'A text spells [CLS] or [MASK]', outcome: 'as the tokenizer defines it', exit: 0 },
      { what: 'NUL, control characters, lone surrogates', outcome: 'as the tokenizer cleans them', exit: 0 },
      { what: 'One word of a million letters', outcome: 'one unknown token', exit: 0 },
      { what: 'A file of a gigabyte', outcome: 'streamed; memory stays bounded', exit: 0 },
      { what: 'A line of JSON lines is malformed', outcome: 'its number; results before it stand' },
      { what: 'Two records have one id', outcome: 'refused, with both lines' },
      { what: 'A pipe closes early', outcome: 'a reader that has gone ends it quietly', exit: 0 },
    ],
  },
  {
    title: 'No usable GPU',
    exit: 5,
    faults: [
      { what: 'There is no adapter, nor the software adapter', outcome: 'the two ways to get one' },
      { what: '--adapter names one that is not there', outcome: 'lists those that are' },
      { what: "The adapter's limits are too small for the model", outcome: 'names limit, need and offer' },
      { what: 'A feature is missing', outcome: 'kernels that need none', exit: 0 },
      { what: 'The driver is too old', outcome: 'refused, with the version needed' },
      { what: 'The unpacked software adapter is damaged', outcome: 'unpacked again', exit: 0 },
      { what: 'The cache folder cannot be written', outcome: 'a temporary folder and one warning', exit: 0 },
      { what: "The GPU's memory does not suffice", outcome: 'smaller batches first, then an error', exit: '0, 6' },
    ],
  },
  {
    title: 'The GPU fails while it runs',
    exit: 6,
    faults: [
      { what: 'The device is lost once', outcome: 'a new device; the result is bit-identical', exit: 0 },
      { what: 'The device is lost twice', outcome: 'an error' },
      { what: 'A validation error', outcome: 'says that it is a bug, and names the kernel' },
      { what: 'Memory runs out inside a batch', outcome: 'halves of the batch, the same result', exit: 0 },
      { what: 'A kernel does not compile on this driver', outcome: 'the next rung and one warning', exit: 0 },
      { what: 'The GPU gives no answer for --timeout seconds', outcome: 'an error; the process ends' },
      { what: 'The model is disposed while it works', outcome: 'work under way ends, later work is refused' },
      { what: 'Two runs at once on one model', outcome: 'they queue, and both are right', exit: 0 },
      { what: 'Ctrl-C', outcome: 'the device is released; only --resume keeps what is done', exit: 130 },
    ],
  },
  {
    title: 'Network and disk',
    exit: 7,
    faults: [
      { what: 'No network: DNS, refused, TLS', outcome: 'says which' },
      { what: 'HTTP 401, 403, 404, 429, 5xx', outcome: 'tried again where that can help; else what it means' },
      { what: 'The server is slow, or stalls', outcome: 'slow is waited for, a stall ends in time and is resumed' },
      { what: 'A download is cut off', outcome: 'goes on by Range, or anew where there is none', exit: 0 },
      { what: 'Wrong size or wrong bytes', outcome: 'nothing is kept' },
      { what: 'A redirect in a loop, or to another scheme', outcome: 'refused' },
      { what: 'The disk is full, read-only, or forbidden', outcome: 'says which, and what to do' },
      {
        what: 'Killed at any moment',
        outcome: 'the next run finds nothing half-written, and removes the rest',
        exit: 0,
      },
      { what: 'Eight processes at once', outcome: 'all succeed, with one copy', exit: 0 },
      { what: 'HF_HUB_OFFLINE is set', outcome: 'no request is made' },
      { what: 'A server names files outside the folder', outcome: 'refused' },
    ],
  },
  {
    title: 'Numbers',
    exit: 8,
    faults: [
      { what: 'A state is NaN or infinite', outcome: 'names the token and the first such layer' },
      { what: 'The driver computes wrongly', outcome: 'the self-check refuses the kernels or the adapter' },
    ],
  },
];
