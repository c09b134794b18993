/** An address that the daemon takes for one of the internet; here it is this machine's. */
export const internetAddress = "93.184.215.14";

/** Every host that a command of the documents reaches. */
export const hosts = [
  ..."github.com api.github.com accounts.google.com oauth2.googleapis.com www.googleapis.com".split(" "),
  ..."login.acme.example login.example login.bank.example login.microsoftonline.com".split(" "),
  ..."hooks.example.com api.weather.example ntfy.sh hooks.slack.com api.telegram.org".split(" "),
];

/** The client that the fakes know, of every provider. */
export const client = { id: "walk-client", secret: "walk-client-secret" } as const;
