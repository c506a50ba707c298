// Generates classes for asyncapi.yaml in five languages: node generate.js ASYNCAPI_YAML DIRECTORY.
const fs = require("node:fs");
const {
  CSharpFileGenerator,
  GoFileGenerator,
  JAVA_JACKSON_PRESET,
  JavaFileGenerator,
  PythonFileGenerator,
  TypeScriptFileGenerator,
} = require("@asyncapi/modelina");

const [contract, directory] = process.argv.slice(2);
const languages = {
  csharp: [new CSharpFileGenerator(), { namespace: "Likewise" }],
  go: [new GoFileGenerator(), { packageName: "likewise" }],
  java: [new JavaFileGenerator({ presets: [JAVA_JACKSON_PRESET] }), { packageName: "likewise" }],
  python: [new PythonFileGenerator(), { packageName: "likewise" }],
  typescript: [new TypeScriptFileGenerator({ modelType: "interface" }), {}],
};

async function main() {
  const source = fs.readFileSync(contract, "utf8");
  for (const [language, [generator, options]] of Object.entries(languages)) {
    await generator.generateToFiles(source, `${directory}/${language}/likewise`, options);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
