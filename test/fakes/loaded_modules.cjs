// For `node --require`: at its end the process says which modules of OpenTelemetry's SDK it had loaded.
process.on("exit", () => {
  // The build puts them into one file.
  const files = Object.keys(require.cache).filter((file) => file.endsWith("/packages/opentelemetry.cjs"));
  process.stderr.write(`modules of the SDK: ${files.length}\n`);
});
