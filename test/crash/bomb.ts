/** Loaded in front of the command line: SIGUSR2 becomes a bug of our own. */
process.on("SIGUSR2", () => {
  throw new TypeError("a bug on purpose,\n  told in two lines");
});

export {};
