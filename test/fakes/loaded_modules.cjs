// For `node --require`: at its end the process says which modules of OpenTelemetry's SDK it had loaded.
process.on("exit", () => {
  const files = Object.keys(require.cache).filter((file) =>
    /@opentelemetry\/(sdk|otlp|exporter|core)/.test(file),
  );
  process.stderr.write(`modules of the SDK: ${files.length}\n`);
});
