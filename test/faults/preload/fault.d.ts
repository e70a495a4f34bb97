/** What lose.mjs leaves for a test in its own process. */
declare global {
  var fault: {
    counts: Record<'upload' | 'dispatch' | 'submit' | 'submitted' | 'map', number>;
    /** Destroys the device at the n-th call of its kind, counted from the start of the process. */
    lose(kind: 'upload' | 'dispatch' | 'submit' | 'submitted' | 'map', n: number): void;
  };
}
export {};
