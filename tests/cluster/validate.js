// Reads Kubernetes objects, a JSON array, from standard input, and writes an array of what their schemas have against
// them: a text each, empty for those that are right.
const { readFileSync } = require("fs");

const complaint = (object) => {
  try {
    new (require(`kubernetes-models/${object.apiVersion}`)[object.kind])(object).validate();
    return "";
  } catch (error) {
    return error.message;
  }
};

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(complaint)));
