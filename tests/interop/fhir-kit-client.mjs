// What somebody sees who uses fhir-kit-client: a request as JSON on standard input, what was seen on standard output.
import { text } from 'node:stream/consumers';
import { Client } from 'fhir-kit-client';

const { base, token, patient, types, prefer, count } = JSON.parse(await text(process.stdin));
const customHeaders = prefer ? { Prefer: prefer } : {};
const client = new Client({ baseUrl: base, bearerToken: token, customHeaders });

const names = (page) => page.entry.map(({ search, resource }) => [search?.mode, resource.resourceType, resource.id]);

async function search(type) {
  const pages = [];
  const searchParams = count ? { patient, _count: count } : { patient };
  let page = await client.search({ resourceType: type, searchParams });
  while (page) {
    pages.push(names(page));
    page = await client.nextPage({ bundle: page });
  }
  return pages;
}

async function batch() {
  const entry = types.map((type) => ({ request: { method: 'GET', url: `${type}?patient=${patient}` } }));
  const answer = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
  return answer.entry.map(({ response, resource }) => [response.status, resource.entry ? names(resource) : null]);
}

const attempt = (promise) => promise.catch(({ response }) => ({ status: response.status, outcome: response.data }));

const searches = {};
for (const type of types) searches[type] = await attempt(search(type));
const read = await attempt(client.read({ resourceType: 'Patient', id: patient }));
console.log(JSON.stringify({ searches, read, batch: await attempt(batch()) }));
