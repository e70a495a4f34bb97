type FaultKind = 'upload' | 'dispatch' | 'submit' | 'submitted' | 'map';

/** What lose.mjs leaves for a test in its own process. */
declare var fault: {
  /** Every device that was made. */
  devices: GPUDevice[];
  counts: Record<FaultKind, number>;
  /** Destroys the device at the n-th call of its kind, counted from the start of the process. */
  lose(kind: FaultKind, n: number): void;
};
