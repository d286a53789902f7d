/** The ideal low pass, its zeros at the whole numbers. */
export const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
/** Kaiser's window over −1 … 1; `beta` trades steepness for attenuation (Oppenheim & Schafer, 7.6). */
export const kaiser = (x: number, beta: number): number =>
  Math.abs(x) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta);
/** Modified Bessel function of the first kind, order 0, by its power series. */
const bessel = (x: number) => {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) sum += term *= (x / (2 * k)) ** 2;
  return sum;
};
