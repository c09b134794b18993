import fc from "fast-check";

/** fast-check with one seed for every change, so that a failure is the change's own. `.ci/run --all` draws others. */
fc.configureGlobal({ seed: Number(process.env.PROPERTY_SEED ?? 7) });

export default fc;
