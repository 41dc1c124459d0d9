import type { JSX } from 'preact';
import type { PageProps } from '../../pages.js';
import { ImportList } from './list.js';
import { OneImport } from './one.js';
import './page.css';

const ImportsPage = ({ rest }: PageProps): JSX.Element => {
  const [id] = rest;
  return id === undefined ? <ImportList /> : <OneImport key={id} id={id} />;
};

export default ImportsPage;
