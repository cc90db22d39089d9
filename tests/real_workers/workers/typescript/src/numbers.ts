export const numbers: number[] = [1, 2, 3];
