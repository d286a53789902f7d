/** The door to mediabunny (MPL-2.0): containers without a native library. */
export * from 'mediabunny';
