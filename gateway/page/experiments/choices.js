// What variants can be made of: the model versions, the rankers and the scenarios that there are.

/** Return `{models, rankers, scenarios}`: names. */
export async function choices(api) {
  const quiet = { quiet: true };
  const [models, rankers, scenarios] = await Promise.all([
    api.get("/v1/models", { limit: 20 }, quiet),
    api.get("/v1/rankers", null, quiet),
    api.get("/v1/scenarios", { limit: 1000 }, quiet),
  ]);
  return {
    models: models.versions.map(({ version }) => version),
    rankers: rankers.filter(({ current }) => !current).map(({ ranker }) => ranker),
    scenarios: scenarios.scenarios.map(({ name }) => name),
  };
}
