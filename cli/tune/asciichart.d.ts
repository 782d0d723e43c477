/** What is used of asciichart, which brings no types. */
declare module "asciichart" {
  const asciichart: {
    plot(
      series: readonly number[],
      config: {
        readonly height: number;
        readonly min: number;
        readonly max: number;
        readonly format: (value: number) => string;
      },
    ): string;
  };
  export default asciichart;
}
